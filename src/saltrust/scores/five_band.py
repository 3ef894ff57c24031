"""The five-band score of Tjoa & Guan (2020, section III-C): a signed map against a truth with two grades.

A pixel of the cell in band 0 is a false negative and nothing else. To the letter, "truth != 0 and another band" makes
it a false positive as well; precision could then never exceed recall, and it does in the paper's Fig. 3. The authors'
code counts as is done here.
"""

from dataclasses import dataclass

import numpy as np

from saltrust.core.errors import SaltrustError, unknown_name

EPSILON = 1e-6  # of the text, in the denominators: 0 / 0 is 0
ORDERS = ("published", "as_run")


def adjust(raw: np.ndarray, clamp: float | None = None, order: str = "published") -> np.ndarray:
    """Channel adjustment: each map over its largest magnitude, summed over the channels, and over that magnitude again.

    A map of zeros, or one whose channels cancel, stays zero. A map that holds NaN or infinite values is NaN all over.

    Args:
        raw: maps (n, c, h, w), any real numbers.
        clamp: largest magnitude that a value keeps, above 0; None for no clamping.
        order: when values are clamped: "published" after the first normalization (section IV-A), "as_run" before it, as
            the authors' code does.

    Returns:
        Adjusted maps (n, h, w), float64 in [-1, 1].

    Raises:
        SaltrustError: the maps have another shape, or clamp or order is not allowed.

    Source:
        Tjoa & Guan 2020, section III-C.

    >>> adjust(np.array([[[[1.0, -4.0]], [[1.0, 0.0]]]])).tolist()
    [[[0.5, -1.0]]]
    """
    values = np.asarray(raw, dtype=np.float64)
    if values.ndim != 4:
        raise SaltrustError(f"channel adjustment: maps must be of shape (n, c, h, w), found {values.shape}")
    if order not in ORDERS:
        raise unknown_name("order of clamping", order, ORDERS)
    if clamp is not None and not clamp > 0:
        raise SaltrustError(f"channel adjustment: clamp must be above 0, or None for no clamping, found {clamp}")
    broken = ~np.isfinite(values).all(axis=(1, 2, 3))
    values = np.where(broken[:, None, None, None], np.nan, values)
    if clamp is None:
        scaled = _normalized(values)
    elif order == "published":
        scaled = np.clip(_normalized(values), -clamp, clamp)
    else:
        scaled = _normalized(np.clip(values, -clamp, clamp))
    return _normalized(scaled.sum(axis=1))


def _normalized(values: np.ndarray) -> np.ndarray:
    """Each map (first axis) over its largest magnitude; zeros stay zero."""
    largest = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
    return values / np.where(largest == 0, 1, largest)


def _require(holds: bool, expected: str, found: str) -> None:
    if not holds:
        raise SaltrustError(f"five-band thresholds: must have {expected}, found {found}")


@dataclass(frozen=True)
class Thresholds:
    """Pairs of thresholds that start at (inner, outer) and fall together, step by step.

    All pairs lie within (0, 1), where maps have their values.

    Attributes:
        inner: threshold between background and body, in (0, 1).
        outer: threshold between body and feature, above inner and below 1.
        step: how far both fall each time, above 0.
        count: number of pairs, at least 1.

    Raises:
        SaltrustError: the thresholds are out of order or leave that range.
    """

    inner: float = 0.3
    outer: float = 0.5
    step: float = 0.005
    count: int = 56

    def __post_init__(self) -> None:
        _require(0 < self.inner < self.outer < 1, "0 < inner < outer < 1", f"inner {self.inner}, outer {self.outer}")
        _require(self.step > 0, "a step above 0", f"{self.step}")
        _require(self.count >= 1, "a count of at least 1", f"{self.count}")
        last = self.pairs()[-1, 0]
        _require(last > 0, "an inner threshold that stays above 0", f"{last:g} after {self.count - 1} steps")

    def pairs(self) -> np.ndarray:
        """The pairs (inner, outer), an array (count, 2), the strictest first."""
        return np.array([self.inner, self.outer]) - self.step * np.arange(self.count)[:, None]


SOFT = Thresholds()
"""Of the text: t_0 to t_55."""
CLAMPED = Thresholds(0.5, 0.9, 0.01, 41)
"""Of the text, for clamped maps: t_0 to t_40."""


def stratify(adjusted: np.ndarray, inner: float, outer: float) -> np.ndarray:
    """The band of each value: 0 around zero, 1 beyond `inner`, 2 beyond `outer`, negative below zero.

    Each band holds its upper bound and not its lower one: 2 is h > outer and -2 is h <= -outer, as the text says. Where
    the text leaves bounds out, h = outer is 1, h = inner is 0 and h = -inner is -1.

    Args:
        adjusted: maps of any shape, in [-1, 1].
        inner: threshold between background and body, in (0, 1).
        outer: threshold between body and feature, in (inner, 1).

    Returns:
        Bands in the shape of the maps, int8, -2 to 2.

    Raises:
        SaltrustError: a map holds NaN.

    Source:
        Tjoa & Guan 2020, section III-C.

    >>> stratify(np.array([-0.9, -0.4, 0.0, 0.4, 0.9]), 0.3, 0.5).tolist()
    [-2, -1, 0, 1, 2]
    """
    if np.isnan(adjusted).any():
        raise SaltrustError("a map that holds NaN has no bands")
    bounds = np.array([-outer, -inner, inner, outer])
    return (np.searchsorted(bounds, adjusted, side="left") - 2).astype(np.int8)


@dataclass(frozen=True)
class Confusion:
    """Pixels by truth and band, each (n, m) integers for n maps and m pairs of thresholds. A pixel is in one of them.

    All are 0 for a map that holds NaN, and its scores are NaN. The scores (n, m) are those of section III-C. Without a
    cell there is nothing to hit: precision and recall are then 0, whatever the map; such images are to be reported
    apart.

    Attributes:
        hit: pixels of the cell in the band of their grade.
        missed: pixels of the cell in band 0.
        misjudged: pixels of the cell in any other band.
        false_alarm: pixels of the background in any band but 0.
        true_negative: pixels of the background in band 0.
    """

    hit: np.ndarray
    missed: np.ndarray
    misjudged: np.ndarray
    false_alarm: np.ndarray
    true_negative: np.ndarray

    @property
    def pixels(self) -> np.ndarray:
        """Pixels of each map (n, m); 0 where the map could not be counted."""
        return self.hit + self.missed + self.misjudged + self.false_alarm + self.true_negative

    @property
    def false_positive(self) -> np.ndarray:
        """Pixels outside band 0 that are not hits (n, m): false alarms and misjudged."""
        return self.false_alarm + self.misjudged

    def precision(self) -> np.ndarray:
        """TP / (TP + FP), an array (n, m) in [0, 1]."""
        return self._share(self.hit, self.hit + self.false_positive)

    def precision_to_the_letter(self) -> np.ndarray:
        """Precision if a missed pixel were a false positive too, (n, m) in [0, 1]; never above recall. In no protocol.

        Source:
            Tjoa & Guan 2020, section III-C, read to the letter.
        """
        return self._share(self.hit, self.hit + self.false_positive + self.missed)

    def recall(self) -> np.ndarray:
        """TP / (TP + FN), an array (n, m) in [0, 1]. Misjudged pixels are in neither."""
        return self._share(self.hit, self.hit + self.missed)

    def fpr(self) -> np.ndarray:
        """FP / (FP + TN), an array (n, m) in [0, 1].

        FP has pixels of the cell, so that this is no share of the background.
        """
        return self._share(self.false_positive, self.false_positive + self.true_negative)

    def accuracy(self) -> np.ndarray:
        """Share of the pixels that are in the band of their truth, an array (n, m) in [0, 1]."""
        return self._share(self.hit + self.true_negative, self.pixels, epsilon=0)

    def _share(self, part: np.ndarray, whole: np.ndarray, epsilon: float = EPSILON) -> np.ndarray:
        undefined = np.full(part.shape, np.nan)
        return np.divide(part, whole + epsilon, out=undefined, where=self.pixels > 0)


def confusion(adjusted: np.ndarray, grades: np.ndarray, thresholds: Thresholds = SOFT) -> Confusion:
    """Count the pixels of adjusted maps by truth and band, at all thresholds at once.

    The pixels of each grade are sorted once; a threshold is then a place in their order.

    Args:
        adjusted: maps (n, h, w) in [-1, 1], as from `adjust`; NaN is allowed.
        grades: truth (n, h, w), uint8: 0 background, 1 body, 2 feature.
        thresholds: the m pairs of thresholds.

    Returns:
        The counts, each (n, m).

    Raises:
        SaltrustError: shapes or grades do not fit, or a map leaves [-1, 1].

    >>> found = confusion(np.array([[[0.0, 0.4, 0.9]]]), np.array([[[0, 1, 2]]], np.uint8), Thresholds(count=1))
    >>> found.hit.tolist(), found.accuracy().tolist()
    ([[2]], [[1.0]])
    """
    adjusted, grades = np.asarray(adjusted), np.asarray(grades)
    if adjusted.ndim != 3 or adjusted.shape != grades.shape:
        raise SaltrustError(
            f"maps and grades must be of one shape (n, h, w), found {adjusted.shape} and {grades.shape}"
        )
    if grades.dtype != np.uint8 or (grades > 2).any():
        raise SaltrustError(f"grades must be 0, 1 or 2 as uint8, found {np.unique(grades)} as {grades.dtype}")
    if (np.abs(adjusted) > 1).any():
        raise SaltrustError(f"maps must be adjusted to [-1, 1], found values up to {np.nanmax(np.abs(adjusted)):g}")
    inner, outer = thresholds.pairs().T
    bounds = np.stack([-inner, inner, outer])
    counts = np.array([_up_to(bounds, one, truth) for one, truth in zip(adjusted, grades, strict=True)], dtype=np.int64)
    counts = counts.reshape(-1, 3, 4, len(inner))  # also where there is no map
    to_minus_inner, to_inner, to_outer, to_one = np.moveaxis(counts, 2, 0)  # each (n, grade, m)
    in_band_0 = to_inner - to_minus_inner
    hit = (to_outer - to_inner)[:, 1] + (to_one - to_outer)[:, 2]
    missed = in_band_0[:, 1] + in_band_0[:, 2]
    return Confusion(
        hit=hit,
        missed=missed,
        misjudged=to_one[:, 1] + to_one[:, 2] - hit - missed,
        false_alarm=to_one[:, 0] - in_band_0[:, 0],
        true_negative=in_band_0[:, 0],
    )


def _up_to(bounds: np.ndarray, adjusted: np.ndarray, grades: np.ndarray) -> np.ndarray:
    """Pixels of one map with values up to each bound, and of any value: (grade, bounds + 1, m), zeros for NaN."""
    _, m = bounds.shape
    if np.isnan(adjusted).any():
        return np.zeros((3, len(bounds) + 1, m))
    ranked = [np.sort(adjusted[grades == grade]) for grade in range(3)]
    return np.stack([np.vstack([np.searchsorted(r, bounds, side="right"), np.full(m, r.size)]) for r in ranked])


def soft(values: np.ndarray, divisor: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Average and best of a score over the thresholds.

    The best is by score: the best precision and the best recall of a map may be at different thresholds.

    Args:
        values: a score (n, m) of n maps at m pairs of thresholds.
        divisor: what the sum is divided by; None for m. (The text sums t_0 to t_55 and divides by n_soft = 55.)

    Returns:
        Two arrays (n,): average and best.

    Source:
        Tjoa & Guan 2020, section III-C.

    >>> [part.tolist() for part in soft(np.array([[0.2, 0.6]]))]
    [[0.4], [0.6]]
    """
    return values.sum(axis=1) / (divisor or values.shape[1]), values.max(axis=1)
