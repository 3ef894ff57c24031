"""When films change, does a doubt rise before the answers get worse?"""

from collections.abc import Iterator, Mapping

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


def ends(moved: pd.DataFrame) -> dict[str, float]:
    """The shares without a change and at the strongest, by name, for the text; NaN for alarms that are not to be had.

    Args:
        moved: as from `under_shift`.
    """
    first, last = (moved.groupby(["change", "score"], sort=False).nth(place) for place in (0, -1))
    start = first.drop_duplicates("score").set_index("score")
    told = {f"flags_{name}_{change}": np.nan for name in ALARMS for change in ("at_first", *moved["change"].unique())}
    told |= {"wrong_at_first": start["wrong"].iloc[0]}
    told |= {f"flags_{name}_at_first": share for name, share in start["flagged"].items()}
    for row in last.itertuples():
        told |= {f"wrong_{row.change}": row.wrong, f"flags_{row.score}_{row.change}": row.flagged}
    return told


def answer(moved: pd.DataFrame, titles: Mapping[str, str]) -> str:
    """Which alarms rise by as much as the share of wrong answers, under every change that costs answers; a sentence.

    Args:
        moved: as from `under_shift`.
        titles: what each alarm is called.
    """
    told = ends(moved)
    costly = [c for c in moved["change"].unique() if told[f"wrong_{c}"] > told["wrong_at_first"]]
    if not costly:
        return "No change costs answers, so that there is nothing to warn of."
    names = moved["score"].unique()
    follow = [
        titles[name]
        for name in names
        if all(
            told[f"flags_{name}_{c}"] - told[f"flags_{name}_at_first"] >= told[f"wrong_{c}"] - told["wrong_at_first"]
            for c in costly
        )
    ]
    if not follow:
        return f"No alarm of the {len(names)} rises by as much as the wrong answers under every change."
    return f"By as much as the wrong answers under every change rises: {', '.join(follow)}."


def _row(change: str, strength: float, name: str, images: int, wrong: float, flagged: np.ndarray) -> dict[str, object]:
    return {"change": change, "strength": strength, "score": name, "images": images, "wrong": wrong,
            "flagged": float(flagged.mean())}  # fmt: skip
