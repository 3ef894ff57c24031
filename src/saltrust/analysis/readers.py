"""How well readers agree: with a consensus that holds them, with one that does not, and with each other."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from saltrust.core.errors import SaltrustError
from saltrust.core.formatting import written
from saltrust.datasets.reader_tables import Reading
from saltrust.scores.agreement import AGREEMENT, Counts, counted, iou
from saltrust.scores.chance import above_chance, iou_by_shift
from saltrust.scores.consensus import REFERENCES, majority, voted
from saltrust.stats.bootstrap import clusters_of, difference, interval, summarize, times_drawn
from saltrust.stats.krippendorff import alpha, nominal

AVERAGE = "average reader"  # the mean over the readers of an image, then over images
ALL = "all readers"
DRAWN = "drawn"  # the mode: what is compared is what readers drew
IMAGES = ("agreed", "all")  # which count: those that have a consensus, or all that every reader read
ABOVE_CHANCE = "iou_above_chance"
COLUMNS = ["rater", "mode", "reference", "score", "mean", "ci_low", "ci_high", "n"]


@dataclass(frozen=True)
class Choices:
    """How agreement is measured.

    Attributes:
        votes: that a consensus needs, None for more than half of the readers.
        size: width and height of every image, None where nobody knows: then only scores that do not need them.
        fill: how outlines are filled, a name in `datasets.reader_tables.FILLS`.
        images: "agreed": those in which the consensus has a pixel; "all": all that every reader read.
        empty: what an overlap of two empty masks scores; NaN leaves them out.
        chance: whether the IoU above chance is computed, too, for which the size must be known.
        n_boot: resamples of an interval.
        seed: of the resamples.
    """

    votes: int | None = None
    size: tuple[int, int] | None = None
    fill: str = "exact"
    images: str = "agreed"
    empty: float = 1.0
    chance: bool = False
    n_boot: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class Agreement:
    """What was found.

    Attributes:
        table: COLUMNS, a row for each reader and their average, reference and score. n: images behind the mean.
        verdict: a sentence that says what the table shows.
        notes: sentences on what was left out, set by a rule or is odd, each with its number.
    """

    table: pd.DataFrame
    verdict: str
    notes: tuple[str, ...]


def agreement(reading: Reading, choices: Choices) -> Agreement:
    """How well readers agree.

    Args:
        reading: what they drew.
        choices: how it is measured.

    Returns:
        The table, a verdict on it, and what one must know beside it.

    Raises:
        SaltrustError: more votes than readers, no image with a consensus, or a choice that needs the images' size.
    """
    readers = len(reading.readers)
    votes = majority(readers) if choices.votes is None else choices.votes
    if not 1 <= votes <= readers:
        raise SaltrustError(f"{votes} votes of {readers} readers: 1 to {readers} are possible")
    if choices.images not in IMAGES:
        raise SaltrustError(f"images: '{choices.images}' is not one of {', '.join(IMAGES)}")
    if choices.chance and choices.size is None:
        raise SaltrustError("chance is a matter of where in its image a mask could lie: give the size of the images")
    scored = [_Image.of(reading, image, votes, choices) for image in reading.images]
    agreed = [one for one in scored if one.conclusive]
    used = agreed if choices.images == "agreed" else scored
    if not used:
        raise SaltrustError(f"in none of {len(scored)} images do {votes} of {readers} readers mark the same pixel")
    frame = pd.DataFrame([row for one in used for row in one.rows])
    clusters = reading.patients or None
    table = _table(frame, [one.name for one in used], np.array([one.marks for one in used]), clusters, choices)
    pairs = pd.DataFrame([row for one in scored for row in one.rows if row["reference"] == "pairwise"])
    notes = _notes(reading, choices, votes, scored, used, pairs)
    return Agreement(table, _verdict(frame, table, clusters, choices), tuple(notes))


@dataclass(frozen=True)
class _Image:
    """An image, scored.

    rows: rater, reference, score, value. marks: by number of readers, the pixels that so many marked. drew: of each
    reader, whether he drew. both_empty: by reference, pairs of empty masks.
    """

    name: str
    rows: list[dict]
    conclusive: bool
    marks: np.ndarray
    drew: np.ndarray
    both_empty: Counter

    @classmethod
    def of(cls, reading: Reading, name: str, votes: int, choices: Choices) -> "_Image":
        masks = reading.masks(name, choices.size, choices.fill)
        rows, both_empty = [], Counter()
        for reference, make in REFERENCES.items():
            if make.of_image and choices.size is None:
                continue
            others = make(masks, votes)
            counts = counted(masks[:, None], others)
            both_empty[reference] = int(counts.both_empty.sum())
            for score, values in _scores(masks, others, counts, choices).items():
                means = _known_means(values)
                rows += [
                    {"image": name, "rater": reader, "reference": reference, "score": score, "value": value}
                    for reader, value in zip(reading.readers, means, strict=True)
                ]
        marks = np.bincount(masks.sum(axis=0, dtype=np.int16).ravel(), minlength=len(masks) + 1)
        return cls(name, rows, bool(voted(masks, votes).any()), marks, masks.any(axis=(1, 2)), both_empty)


def _scores(masks: np.ndarray, others: np.ndarray, counts: Counts, choices: Choices) -> dict[str, np.ndarray]:
    """By score, its values (readers, references of each)."""
    scores = AGREEMENT if choices.size else {name: one for name, one in AGREEMENT.items() if not one.of_image}
    found = {name: score(counts, choices.empty) for name, score in scores.items()}
    if choices.chance:
        own = np.broadcast_to(masks[:, None], others.shape)
        found[ABOVE_CHANCE] = above_chance(iou(counts, choices.empty), iou_by_shift(own, others, choices.empty))
    return found


def _known_means(values: np.ndarray) -> np.ndarray:
    """Means of the rows without NaN; NaN where a row has nothing else."""
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, values, 0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _table(
    frame: pd.DataFrame, names: list[str], marks: np.ndarray, clusters: dict[str, str] | None, choices: Choices
) -> pd.DataFrame:
    by = ["rater", "reference", "score"]
    average = summarize(frame.assign(rater=AVERAGE), "value", by, choices.n_boot, choices.seed, clusters)
    each = summarize(frame, "value", by, choices.n_boot, choices.seed, clusters)
    table = pd.concat([average, each], ignore_index=True)
    order = {rater: place for place, rater in enumerate([AVERAGE, *dict.fromkeys(frame["rater"])])}
    places = {reference: place for place, reference in enumerate(REFERENCES)}
    table = table.sort_values(
        by=["reference", "rater"], key=lambda column: column.map(places if column.name == "reference" else order),
        kind="stable",
    )  # fmt: skip
    if choices.size:
        table = pd.concat([table, pd.DataFrame([_alpha(names, marks, clusters, choices)])], ignore_index=True)
    return table.assign(mode=DRAWN)[COLUMNS].reset_index(drop=True)


def _alpha(names: list[str], marks: np.ndarray, clusters: dict[str, str] | None, choices: Choices) -> dict:
    """Krippendorff's alpha over the pixels of all images; marks: (images, readers + 1), see `_Image`."""
    readers = marks.shape[1] - 1
    counts = np.array([[readers - k, k] for k in range(readers + 1)])
    drawn = times_drawn(len(names), choices.n_boot, choices.seed, clusters_of(names, clusters))
    resampled = alpha(counts, nominal(np.arange(2)), drawn @ marks)
    known = resampled[~np.isnan(resampled)]
    low, high = interval(known) if len(known) else (np.nan, np.nan)
    mean = float(alpha(counts, nominal(np.arange(2)), marks.sum(axis=0)))
    row = {"rater": ALL, "reference": "each other", "score": "alpha_pixels"}
    return row | {"mean": mean, "ci_low": low, "ci_high": high, "n": len(names)}


def _verdict(frame: pd.DataFrame, table: pd.DataFrame, clusters: dict[str, str] | None, choices: Choices) -> str:
    """Whether a consensus that holds the reader flatters him."""
    overlap = frame[frame["score"] == "iou"]
    values = {
        reference: overlap[overlap["reference"] == reference].groupby("image", sort=False)["value"].mean()
        for reference in ("consensus", "pairwise")
    }
    own, other = (values[name].to_numpy() for name in ("consensus", "pairwise"))
    means = table[(table["rater"] == AVERAGE) & (table["score"] == "iou")].set_index("reference")
    if not np.isfinite(own - other).any():
        return "In no image did anybody draw: there is nothing to agree about."
    gap = difference(
        own, other, paired=True, n_boot=choices.n_boot, seed=choices.seed,
        clusters=clusters_of(values["consensus"].index, clusters),
    )  # fmt: skip
    found = (
        f"the average reader has an IoU of {_estimate(means.loc['consensus'])} with a consensus that holds him, and of "
        f"{_estimate(means.loc['pairwise'])} with another reader, {written(gap['difference'], '.3f')} "
        f"[{written(gap['ci_low'], '.3f')}, {written(gap['ci_high'], '.3f')}] apart."
    )
    if gap["ci_low"] > 0:
        like = written(float(means.loc["pairwise", "mean"]), ".3f")
        return (
            f"The consensus flatters its readers: {found} Two maps are no part of each other: set them beside {like}."
        )
    return f"The consensus does not flatter its readers here: {found}"


def _estimate(row: pd.Series) -> str:
    return f"{written(float(row['mean']), '.3f')} [{written(float(row['ci_low']), '.3f')}, " + (
        f"{written(float(row['ci_high']), '.3f')}]"
    )


def _notes(
    reading: Reading, choices: Choices, votes: int, scored: list[_Image], used: list[_Image], pairs: pd.DataFrame
) -> list[str]:
    readers = len(reading.readers)
    notes = []
    patients = len(set(clusters_of([one.name for one in used], reading.patients)))
    of = f"{patients} patients" if reading.patients else "patients unknown: no column 'patient', images are resampled"
    notes.append(f"{len(used)} images ({of}), {readers} readers, consensus by {votes} votes.")
    if reading.unshared:
        shown = ", ".join(reading.unshared[:3]) + (", …" if len(reading.unshared) > 3 else "")
        notes.append(f"{len(reading.unshared)} images were not read by all readers and are left out: {shown}")
    if inconclusive := sum(not one.conclusive for one in scored):
        overlap = pairs[pairs["score"] == "iou"].groupby("image")["value"].mean().mean()
        kept = "are left out, as in the study of MURA" if choices.images == "agreed" else "count"
        notes.append(
            f"In {inconclusive} of {len(scored)} images no pixel has {votes} votes; they {kept}. "
            f"Over all {len(scored)} the IoU of two readers is {written(float(overlap), '.3f')}."
        )
    for reader, drew in zip(reading.readers, np.array([one.drew for one in used]).T, strict=True):
        if not drew.all():
            notes.append(f"{reader} drew nothing in {int((~drew).sum())} of {len(used)} images.")
    if empty := sum((one.both_empty for one in used), Counter()):
        rule = "are left out" if np.isnan(choices.empty) else f"have IoU and Dice {choices.empty:g}"
        notes.append(f"Pairs of two empty masks {rule}: {_listed({ref: empty[ref] for ref in REFERENCES})}.")
    if choices.size:
        areas = [row for one in used for row in one.rows if row["score"] == "average_precision"]
        undefined = Counter(row["reference"] for row in areas if np.isnan(row["value"]))
        if undefined:
            found = _listed({ref: undefined[ref] for ref in REFERENCES})
            notes.append(f"Against an empty reference AUPRC has no value; readings left out of it: {found}.")
    for what, counts in reading.oddities(choices.size).items():
        notes.append(f"Drawings {what}: {_listed(counts)}.")
    if choices.size is None:
        notes.append("Pixel error, AUPRC, STAPLE and alpha need the size of the images.")
    return notes


def _listed(counts: dict[str, int]) -> str:
    """Names and their numbers; those of 0 are left out."""
    return ", ".join(f"{name} {n}" for name, n in counts.items() if n)
