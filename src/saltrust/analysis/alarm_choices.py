"""Would another choice have made a better alarm? A specification curve of what the paper leaves open, or chose."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from saltrust.analysis.alarm import BEST_F1, alarms, gains, resampled_f1
from saltrust.artefacts import Artefact
from saltrust.core.registry import Registry
from saltrust.methods.registry import METHODS
from saltrust.scores.distinctness import PREPARATIONS, distinctness, nearest
from saltrust.stats.selective import error_auroc
from saltrust.study.multilabel import FROM_MAPS, JUDGED, MultilabelStudy

READINGS = {"alike": -1.0, "apart": 1.0}  # which maps are read as doubt, and the sign of their distance
SUMMARIES = Registry("summary of distances")
SUMMARIES.register("sum")(distinctness)
SUMMARIES.register("nearest")(nearest)

LARGE_EPSILON = 0.01  # beside the protocol's, which leaves alone all but the smallest denominators of LRP


@dataclass(frozen=True)
class Choice:
    """One way to make a doubt from maps.

    Attributes:
        method: one of FROM_MAPS.
        epsilon: what LRP adds to its denominators, None for a method that has no such parameter.
        preparation: a name in PREPARATIONS.
        reading: a name in READINGS.
        summary: a name in SUMMARIES.
    """

    method: str
    epsilon: float | None
    preparation: str
    reading: str
    summary: str

    def doubt(self, study: MultilabelStudy, split: str) -> np.ndarray:
        """The doubt (n, k) of each image and finding."""
        method, told = study.alarm_methods[self.method], _told(self.epsilon)
        distances = study.distances(split, method, preparation=self.preparation, **told)
        return READINGS[self.reading] * SUMMARIES[self.summary](distances)


def _epsilons(study: MultilabelStudy, method: str) -> tuple[float | None, ...]:
    """The values of epsilon of one of FROM_MAPS, the protocol's first."""
    epsilon = METHODS[study.alarm_methods[method]].defaults.get("epsilon")
    return (None,) if epsilon is None else (epsilon, LARGE_EPSILON)


def _told(epsilon: float | None) -> dict[str, float]:
    """The parameters of a method that a choice sets."""
    return {} if epsilon is None else {"epsilon": epsilon}


def choices(study: MultilabelStudy) -> list[Choice]:
    """Every combination, of the methods that can explain the network."""
    return [
        Choice(method, *chosen)
        for method in FROM_MAPS
        if not study.unexplained(study.alarm_methods[method])
        for chosen in product(_epsilons(study, method), PREPARATIONS, READINGS, SUMMARIES)
    ]


def of_paper(study: MultilabelStudy) -> list[Choice]:
    """The paper's alarms among `choices`."""
    paper = [Choice(method, _epsilons(study, method)[0], "signed", "alike", "sum") for method in FROM_MAPS]
    return [choice for choice in choices(study) if choice in paper]


def artefacts(study: MultilabelStudy) -> Iterator[Artefact]:
    """All that the choices are made from."""
    for method, epsilon in dict.fromkeys((choice.method, choice.epsilon) for choice in choices(study)):
        for split in JUDGED:
            yield study.products_artefact(split, study.alarm_methods[method], **_told(epsilon))


def curve(study: MultilabelStudy, n_boot: int) -> pd.DataFrame:
    """What the alarm of each choice adds to the mean F1, and how well its doubt finds wrong answers.

    Methods that cannot explain the network are left out.

    Args:
        study: of the network.
        n_boot: resamples, in which all thresholds are chosen anew.

    Returns:
        One row for each choice, by gain: method, epsilon, preparation, reading, summary, gain, ci_low, ci_high (as from
        `alarm.gains`), auroc (the mean over the findings), paper (whether the paper's alarms are made so).
    """
    paper = of_paper(study)
    doubts = {choice: {split: choice.doubt(study, split) for split in JUDGED} for choice in choices(study)}
    resampled = resampled_f1(study, doubts, n_boot, nested=True).drop(columns=BEST_F1)
    gained = gains(resampled, alarms(study, doubts)).set_index("method")
    wrong = study.predicted("test") != study.present("test")
    rows = [
        {
            **vars(choice),
            **gained.loc[[choice], ["gain", "ci_low", "ci_high"]].iloc[0],
            "auroc": np.mean([error_auroc(of["test"][:, k], wrong[:, k]) for k in range(wrong.shape[1])]),
            "paper": choice in paper,
        }
        for choice, of in doubts.items()
    ]
    return pd.DataFrame(rows).sort_values("gain", ignore_index=True)
