"""When films change, does a doubt rise before the answers get worse?"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from saltrust.artefacts import Artefact
from saltrust.datasets.shifts import SHIFTS
from saltrust.study.doubts import DOUBTS
from saltrust.study.multilabel import MultilabelStudy, Shift

RATE = 0.1  # of the validation answers that each alarm flags: all alarms begin alike
ALARMS = ("ixg", "margin", "entropy", "ensemble", "neighbours")  # LRP takes twice as long as the others together


def shifts() -> list[Shift]:
    """Every change, in each of its strengths."""
    return [Shift(change, strength) for change, of in SHIFTS.items() for strength in of.strengths]


def alarms(study: MultilabelStudy) -> list[str]:
    """Those of ALARMS that are to be had for the network."""
    return [name for name in ALARMS if not DOUBTS[name].lacks(study)]


def artefacts(study: MultilabelStudy) -> Iterator[Artefact]:
    """All that `under_shift` asks for, beside what the doubts of the unchanged images are made from."""
    for shift in shifts():
        yield study.data(shift)
        yield study.outputs_artefact(shift)
        for name in alarms(study):
            yield from DOUBTS[name].artefacts(study, shift)


def under_shift(study: MultilabelStudy) -> pd.DataFrame:
    """The share of wrong answers and of flagged ones, as films change.

    Each alarm flags what is more doubtful than all but a share `RATE` of the validation answers to that finding.

    Args:
        study: of the network.

    Returns:
        One row for each change, strength (0: none) and alarm: change, strength, score, images, wrong (share of the
        answers, over all findings), flagged (the same).
    """
    shown = alarms(study)
    limits = {name: np.nanquantile(DOUBTS[name].of(study, "val"), 1 - RATE, axis=0) for name in shown}
    some = len(study.split(shifts()[0]))
    unchanged = {name: DOUBTS[name].of(study, "test")[:some] for name in shown}
    wrong = float((study.predicted("test") != study.present("test"))[:some].mean())
    rows = []
    for change, of in SHIFTS.items():
        for name in shown:
            rows.append(_row(change, 0.0, name, some, wrong, unchanged[name] > limits[name]))
        for shift in (Shift(change, strength) for strength in of.strengths):
            erring = float((study.predicted(shift) != study.present(shift)).mean())
            for name in shown:
                flagged = DOUBTS[name].of(study, shift) > limits[name]
                rows.append(_row(change, shift.strength, name, some, erring, flagged))
    return pd.DataFrame(rows)


def _row(change: str, strength: float, name: str, images: int, wrong: float, flagged: np.ndarray) -> dict[str, object]:
    return {"change": change, "strength": strength, "score": name, "images": images, "wrong": wrong,
            "flagged": float(flagged.mean())}  # fmt: skip
