"""Does a network read a shortcut in the finding's place, and do its maps say so?

Frames are those of `ShortcutStudy`: `training` is "shortcut" or "control", and every test patient is seen in four
states, "clear", with the "tube", with the "finding" and with "both". Intervals resample patients.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from saltrust.methods.registry import label_of
from saltrust.stats.bootstrap import difference, interval

CONTRASTS = {  # what is drawn, and on which state of the patient: the states after and before
    ("tube", "clear"): ("tube", "clear"),
    ("tube", "finding"): ("both", "finding"),
    ("finding", "clear"): ("finding", "clear"),
    ("finding", "tube"): ("both", "tube"),
}
EITHER = "either"  # the mean over the two states

PAIRS = {  # whom the area under the ROC curve tells apart: the states with and without the finding
    "no tube": ("finding", "clear"),
    "a tube in both": ("both", "tube"),
    "the tube goes with the finding": ("both", "clear"),
    "the tube parts from it": ("finding", "tube"),
}
AS_IN_TRAINING = "as in training"

SHOWS, ALWAYS, BELOW, UNDECIDED, NOT_ASKED = "shows it", "above in both", "below", "undecided", "not asked"
ANSWERS = (SHOWS, ALWAYS, BELOW, UNDECIDED)
"""Of a method whose maps are asked for a shortcut that a network has learned:

- the tube stands above the finding in the maps of that network, in the control's it does not, and the two differ;
- it stands above in both;
- it stands below the finding in the maps of the network that reads it;
- none of these, each by its whole interval.

NOT_ASKED: the network has not learned the shortcut.
"""


# --- what the networks do ---------------------------------------------------------------------------------------------


def separations(
    logits: pd.DataFrame, given_finding: float, given_clear: float, n_boot: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """How well each network tells images with the finding from those without, by who has a tube.

    Args:
        logits: Columns training, patient and a logit for each state.
        given_finding: Share of images with a tube among those with the finding, in the training with the shortcut.
        given_clear: The same share among those without it.
        n_boot: Bootstrap resamples of the patients.
        seed: Of the resamples.

    Returns:
        One row for each training and each of PAIRS, and one for the mixture of these in which tubes are as frequent as
        in training: training, images, auc, ci_low, ci_high.

    >>> logits = pd.DataFrame({"training": "shortcut", "patient": ["a", "b"], "clear": [0.0, 1.0], "tube": [2.0, 3.0],
    ...                        "finding": [1.5, 2.5], "both": [4.0, 5.0]})
    >>> separations(logits, 1.0, 0.0, n_boot=20)["auc"].tolist()
    [1.0, 1.0, 1.0, 1.0, 0.25]
    """
    with_tube = {"both": given_finding, "finding": 1 - given_finding, "tube": given_clear, "clear": 1 - given_clear}
    rows = []
    for training, frame in logits.groupby("training", sort=False):
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(len(frame), np.full(len(frame), 1 / len(frame)), size=n_boot) / len(frame)
        wins = {name: _wins(frame[ill].to_numpy(), frame[well].to_numpy()) for name, (ill, well) in PAIRS.items()}
        mixture = sum(with_tube[PAIRS[name][0]] * with_tube[PAIRS[name][1]] * won for name, won in wins.items())
        for name, won in ({AS_IN_TRAINING: mixture} | wins).items():
            low, high = interval(((drawn @ won) * drawn).sum(axis=1))
            row = {"training": training, "images": name, "auc": float(won.mean())}
            rows.append(row | {"ci_low": low, "ci_high": high})
    return pd.DataFrame(rows)


def _wins(ill: np.ndarray, well: np.ndarray) -> np.ndarray:
    """Whether each logit of the first is above each of the second (n, m), ties one half."""
    return (ill[:, None] > well) + 0.5 * (ill[:, None] == well)


def changes(logits: pd.DataFrame) -> pd.DataFrame:
    """What drawing the tube, or the finding, into the image of the same patient does to the logit.

    Args:
        logits: Columns training, patient and a logit for each state.

    Returns:
        Columns training, patient, drawn ("tube" or "finding"), on (the state it is drawn on), change.

    >>> logits = pd.DataFrame({"training": "control", "patient": ["a"], "clear": [0.0], "tube": [1.0], "finding": [3.0],
    ...                        "both": [3.5]})
    >>> changes(logits)["change"].tolist()
    [1.0, 0.5, 3.0, 2.5]
    """
    return pd.concat(
        logits[["training", "patient"]].assign(drawn=drawn, on=on, change=logits[after] - logits[before])
        for (drawn, on), (after, before) in CONTRASTS.items()
    ).reset_index(drop=True)


def effects(changed: pd.DataFrame, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """The mean change of the logit, of each network and between the two.

    Args:
        changed: From `changes`, of both trainings.
        n_boot: Bootstrap resamples of the patients.
        seed: Of the resamples.

    Returns:
        Columns training ("shortcut", "control", or "difference" for the first minus the second), drawn, on (a state, or
        "either" for the mean over both), effect, ci_low, ci_high: in units of the logit.

    >>> rows = [(t, p, d, s, e) for t, e in (("shortcut", 2.0), ("control", 0.5)) for p in "ab"
    ...         for d, s in CONTRASTS]
    >>> found = effects(pd.DataFrame(rows, columns=["training", "patient", "drawn", "on", "change"]), n_boot=20)
    >>> found[(found["drawn"] == "tube") & (found["on"] == "either")]["effect"].tolist()
    [2.0, 0.5, 1.5]
    """
    mean = changed.groupby(["training", "patient", "drawn"], sort=False, as_index=False)["change"].mean()
    wide = pd.concat([changed, mean.assign(on=EITHER)]).pivot(
        index="patient", columns=["training", "drawn", "on"], values="change"
    )
    rows = []
    for drawn, on in (*CONTRASTS, ("tube", EITHER), ("finding", EITHER)):
        first, second = (wide[(training, drawn, on)].to_numpy() for training in ("shortcut", "control"))
        for training, values in (("shortcut", first), ("control", second), ("difference", first - second)):
            found = difference(values, 0.0, paired=True, n_boot=n_boot, seed=seed)
            rows.append({"training": training, "drawn": drawn, "on": on, "effect": found.pop("difference"), **found})
    return pd.DataFrame(rows)


def effect_of(found: pd.DataFrame, training: str, drawn: str = "tube", on: str = EITHER) -> pd.Series:
    """One row of `effects`."""
    return found.query("training == @training and drawn == @drawn and on == @on").iloc[0]


def reads_the_shortcut(found: pd.DataFrame) -> bool:
    """Whether the network trained with the shortcut reads the tube: drawing it raises the logit, and by more than in
    the control, each with its whole interval.

    Args:
        found: From `effects`.
    """
    return all(effect_of(found, training)["ci_low"] > 0 for training in ("shortcut", "difference"))


# --- what their maps say ----------------------------------------------------------------------------------------------


def gaps(auprc: pd.DataFrame, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Mean AUPRC of the maps of both networks, and their difference by image.

    Args:
        auprc: Columns training, method, image, seen, mask, auprc.
        n_boot: Bootstrap resamples of the patients.
        seed: Of the resamples.

    Returns:
        One row for each method, state and mask: method, seen, mask, shortcut, control, difference (the first minus the
        second), ci_low, ci_high.

    >>> rows = [(t, "ig", p, "both", "tube", a) for t, a in (("shortcut", 0.5), ("control", 0.25)) for p in "ab"]
    >>> frame = pd.DataFrame(rows, columns=["training", "method", "image", "seen", "mask", "auprc"])
    >>> gaps(frame, n_boot=20)[["shortcut", "control", "difference"]].to_numpy().tolist()
    [[0.5, 0.25, 0.25]]
    """
    rows = []
    for (method, seen, mask), frame in auprc.groupby(["method", "seen", "mask"], sort=False):
        wide = frame.pivot(index="image", columns="training", values="auprc")
        first, second = wide["shortcut"].to_numpy(), wide["control"].to_numpy()
        row = {"method": method, "seen": seen, "mask": mask, "shortcut": first.mean(), "control": second.mean()}
        rows.append(row | difference(first, second, paired=True, n_boot=n_boot, seed=seed))
    return pd.DataFrame(rows)


def answers(precedence: pd.DataFrame, reads: bool, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Which methods show that a network reads the shortcut.

    Args:
        precedence: Columns training, method, image, precedence: how often a map puts a pixel of the tube above one of
            the finding.
        reads: Whether the network reads the shortcut (`reads_the_shortcut`).
        n_boot: Bootstrap resamples of the patients.
        seed: Of the resamples.

    Returns:
        One row for each method: method; shortcut and control, the means by training, each with _low and _high;
        difference, the first minus the second, with ci_low and ci_high; answer, one of ANSWERS, or NOT_ASKED.

    >>> rows = [(t, "ig", p, a) for t, a in (("shortcut", 0.75), ("control", 0.25)) for p in "ab"]
    >>> frame = pd.DataFrame(rows, columns=["training", "method", "image", "precedence"])
    >>> answers(frame, reads=True, n_boot=20)["answer"].item()
    'shows it'
    """
    rows = []
    for method, frame in precedence.groupby("method", sort=False):
        wide = frame.pivot(index="image", columns="training", values="precedence")
        row = {"method": method}
        for training in ("shortcut", "control"):
            found = difference(wide[training].to_numpy(), 0.0, paired=True, n_boot=n_boot, seed=seed)
            row |= {training: found["difference"]}
            row |= {f"{training}_low": found["ci_low"], f"{training}_high": found["ci_high"]}
        pair = wide["shortcut"].to_numpy(), wide["control"].to_numpy()
        row |= difference(*pair, paired=True, n_boot=n_boot, seed=seed)
        rows.append(row | {"answer": _answer(row) if reads else NOT_ASKED})
    return pd.DataFrame(rows)


def _answer(row: Mapping[str, float]) -> str:
    above, control_above = row["shortcut_low"] > 0.5, row["control_low"] > 0.5
    if above and control_above:
        return ALWAYS
    if above and row["ci_low"] > 0:
        return SHOWS
    return BELOW if row["shortcut_high"] < 0.5 else UNDECIDED


def conclusion(reads: bool, found: Mapping[str, str]) -> str:
    """What follows, in sentences.

    Args:
        reads: Whether the network reads the shortcut (`reads_the_shortcut`).
        found: The answer of each method.

    >>> conclusion(True, {"ig": UNDECIDED})
    '0 of 1 methods show the shortcut. For 1 (IG) these patients cannot tell.'
    >>> conclusion(False, {"ig": SHOWS})
    'This network did not learn the shortcut, so that no map can be asked to show it.'
    """
    if not reads:
        return "This network did not learn the shortcut, so that no map can be asked to show it."
    by_answer = {answer: [label_of(method) for method, own in found.items() if own == answer] for answer in ANSWERS}

    def those(answer: str) -> str:
        return f"{len(by_answer[answer])} ({', '.join(by_answer[answer])})"

    shown = by_answer[SHOWS]
    first = f"{len(shown)} of {len(found)} methods show{'s' if len(shown) == 1 else ''} the shortcut"
    if shown:
        first += f" ({', '.join(shown)}): {'its' if len(shown) == 1 else 'their'} maps put the tube above the finding"
        first += " where the network reads it, and not where it does not"
    sentences = [f"{first}."]
    if by_answer[ALWAYS]:
        sentences.append(f"In the maps of {those(ALWAYS)} the tube is above the finding whatever the network reads.")
    if by_answer[BELOW]:
        sentences.append(f"In the maps of {those(BELOW)} the tube is below the finding although the network reads it.")
    if by_answer[UNDECIDED]:
        sentences.append(f"For {those(UNDECIDED)} these patients cannot tell.")
    return " ".join(sentences)
