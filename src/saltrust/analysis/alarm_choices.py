"""Would another choice have made a better alarm? A specification curve of what the paper leaves open, or chose."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from saltrust.analysis.alarm import BEST_F1, alarms, gains, resampled_f1
from saltrust.core.registry import Registry
from saltrust.scores.distinctness import PREPARATIONS, distinctness, nearest
from saltrust.stats.selective import error_auroc
from saltrust.study.multilabel import FROM_MAPS, JUDGED, MultilabelStudy

READINGS = {"alike": -1.0, "apart": 1.0}  # which maps are read as doubt, and the sign of their distance
SUMMARIES = Registry("summary of distances")
SUMMARIES.register("sum")(distinctness)
SUMMARIES.register("nearest")(nearest)


@dataclass(frozen=True)
class Choice:
    """One way to make a doubt from maps.

    Attributes:
        method: one of FROM_MAPS.
        preparation: a name in PREPARATIONS.
        reading: a name in READINGS.
        summary: a name in SUMMARIES.
    """

    method: str
    preparation: str
    reading: str
    summary: str

    def doubt(self, study: MultilabelStudy, split: str) -> np.ndarray:
        """The doubt (n, k) of each image and finding."""
        distances = study.distances(split, study.alarm_methods[self.method], preparation=self.preparation)
        return READINGS[self.reading] * SUMMARIES[self.summary](distances)


CHOICES = tuple(Choice(*chosen) for chosen in product(FROM_MAPS, PREPARATIONS, READINGS, SUMMARIES))
PAPER = tuple(Choice(method, "signed", "alike", "sum") for method in FROM_MAPS)


def curve(study: MultilabelStudy, n_boot: int) -> pd.DataFrame:
    """What the alarm of each choice adds to the mean F1, and how well its doubt finds wrong answers.

    Methods that cannot explain the network are left out.

    Args:
        study: of the network.
        n_boot: resamples, in which all thresholds are chosen anew.

    Returns:
        One row for each choice, by gain: method, preparation, reading, summary, gain, ci_low, ci_high (as from
        `alarm.gains`), auroc (the mean over the findings), paper (whether the paper's alarms are made so).
    """
    possible = [choice for choice in CHOICES if not study.unexplained(study.alarm_methods[choice.method])]
    doubts = {choice: {split: choice.doubt(study, split) for split in JUDGED} for choice in possible}
    resampled = resampled_f1(study, doubts, n_boot, nested=True).drop(columns=BEST_F1)
    gained = gains(resampled, alarms(study, doubts)).set_index("method")
    wrong = study.predicted("test") != study.present("test")
    rows = [
        {
            **vars(choice),
            **gained.loc[[choice], ["gain", "ci_low", "ci_high"]].iloc[0],
            "auroc": np.mean([error_auroc(of["test"][:, k], wrong[:, k]) for k in range(wrong.shape[1])]),
            "paper": choice in PAPER,
        }
        for choice, of in doubts.items()
    ]
    return pd.DataFrame(rows).sort_values("gain", ignore_index=True)
