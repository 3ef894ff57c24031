"""References that a reader is held against: what he and others marked together, what the others did, each of them.

A reader who is part of the reference agrees with himself, and scores higher than he would with others' marks. So each
reference says whether it `holds` the reader.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from saltrust.core.errors import SaltrustError
from saltrust.core.registry import Registry

ROUNDS = 1000  # of expectation and maximization, at most
CLOSE = 1e-7  # a round that moves no estimate by more is the last
FIRST_GUESS = 0.99  # sensitivity and specificity of each reader, before the first round
MOST_READERS = 62  # whose marks fit the bits of a whole number


def majority(readers: int) -> int:
    """The votes of more than half of so many readers.

    >>> [majority(readers) for readers in (1, 2, 3, 4)]
    [1, 2, 2, 3]
    """
    return readers // 2 + 1


def voted(masks: np.ndarray, votes: int | None = None) -> np.ndarray:
    """The pixels that at least so many readers marked.

    Args:
        masks: of r readers (r, ...), boolean.
        votes: how many of them, 1 to r; None for more than half.

    Returns:
        A mask (...).

    Raises:
        SaltrustError: the votes are out of range.

    >>> voted(np.array([[True, True, False], [False, True, False], [False, True, True]]), votes=2).tolist()
    [False, True, False]
    """
    votes = majority(len(masks)) if votes is None else votes
    if not 1 <= votes <= len(masks):
        raise SaltrustError(f"{votes} votes of {len(masks)} readers: 1 to {len(masks)} are possible")
    return masks.sum(axis=0, dtype=np.int16) >= votes


@dataclass(frozen=True)
class Staple:
    """What several readers tell of a truth that nobody knows, and how well each of them tells it.

    Attributes:
        probability: that a pixel is true (...).
        sensitivity: of each reader (r,), the share of true pixels that he marked; NaN where no pixel is likely true.
        specificity: of each reader (r,), the share of false pixels that he left; NaN where every pixel is true.
        rounds: of the estimate.
    """

    probability: np.ndarray
    sensitivity: np.ndarray
    specificity: np.ndarray
    rounds: int

    @property
    def mask(self) -> np.ndarray:
        """The pixels that are true with a probability of one half or more."""
        return self.probability >= 0.5


def staple(masks: np.ndarray, prior: float | None = None) -> Staple:
    """Simultaneous truth and performance level estimation, by expectation and maximization.

    Pixels count as independent of each other. Those that the same readers marked have one probability, so that the
    work grows with the number of such sets and not with the image. What lies around the marks counts: the more of the
    image nobody marked, the higher is every specificity, and the nearer the mask to the union.

    Args:
        masks: of r readers (r, ...), boolean.
        prior: probability that a pixel is true before anybody has looked, between 0 and 1; None for the mean share of
            the pixels that a reader marked.

    Returns:
        The estimate. Where nobody marked anything, no pixel is true; where all marked all, each is.

    Raises:
        SaltrustError: there are more than 62 readers, or the prior is out of range.

    Source:
        Warfield, Zou & Wells 2004, sections II-B to II-D, for two labels, with their fixed and equal prior.

    >>> found = staple(np.array([[1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 1, 0, 0]]) > 0)
    >>> found.mask.astype(int).tolist()
    [1, 1, 1, 0, 0, 0, 0, 0]
    """
    readers = len(masks)
    if readers > MOST_READERS:
        raise SaltrustError(f"STAPLE takes up to {MOST_READERS} readers, not {readers}")
    flat = masks.reshape(readers, -1)
    prior = float(flat.mean()) if prior is None else prior
    if not 0 <= prior <= 1:
        raise SaltrustError(f"a prior of {prior} is no probability: 0 to 1")
    marked, pixels, member = _alike(flat)
    sensitivity = specificity = np.full(readers, FIRST_GUESS)
    for rounds in range(1, ROUNDS + 1):  # noqa: B007
        true = pixels * _posterior(marked, prior, sensitivity, specificity)
        before = sensitivity, specificity
        sensitivity, specificity = _share(marked, true), _share(~marked, pixels - true)
        if max(np.abs(x - y).max() for x, y in zip(before, (sensitivity, specificity), strict=True)) < CLOSE:
            break
    probability = _posterior(marked, prior, sensitivity, specificity)
    true = float(pixels @ probability)
    return Staple(
        probability[member].reshape(masks.shape[1:]),
        sensitivity if true > 0 else np.full(readers, np.nan),
        specificity if true < pixels.sum() else np.full(readers, np.nan),
        rounds,
    )


def _alike(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels (readers, pixels) that the same readers marked, first those that nobody did.

    Returns:
        The readers who marked each such set (readers, sets), the pixels of each, and the set of each pixel.
    """
    somebody = np.flatnonzero(flat.any(axis=0))  # few: only these are sorted
    bits = np.arange(len(flat), dtype=np.int64)[:, None]
    codes = (flat[:, somebody].astype(np.int64) << bits).sum(axis=0)
    found, at, pixels = np.unique(codes, return_inverse=True, return_counts=True)
    member = np.zeros(flat.shape[1], dtype=np.int64)
    member[somebody] = at + 1
    return (np.r_[0, found] >> bits & 1).astype(bool), np.r_[flat.shape[1] - len(somebody), pixels], member


def _posterior(marked: np.ndarray, prior: float, sensitivity: np.ndarray, specificity: np.ndarray) -> np.ndarray:
    """The probability that a pixel is true which just these readers marked."""
    p, q = sensitivity[:, None], specificity[:, None]
    if_true = prior * np.where(marked, p, 1 - p).prod(axis=0)
    if_false = (1 - prior) * np.where(marked, 1 - q, q).prod(axis=0)
    total = if_true + if_false
    # Both are 0 where two readers contradict each other who are said to err never: the prior is all there is.
    return np.divide(if_true, total, out=np.full(total.shape, prior), where=total > 0)


def _share(of: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted share of the sets; one half, which tells nothing, where the weights are 0."""
    total = weights.sum()
    return (of @ weights) / total if total > 0 else np.full(len(of), 0.5)


@dataclass(frozen=True)
class Reference:
    """What readers are held against, called `reference(masks, votes)`.

    Attributes:
        function: from the masks of all readers (r, height, width), and the votes that a consensus needs, to the
            references of each reader (r, m, height, width).
        title: its name in tables.
        holds: whether the reader's own marks are part of it.
        of_image: whether pixels that nobody marked count, so that the size of the image must be known.
    """

    function: Callable[[np.ndarray, int | None], np.ndarray]
    title: str
    holds: bool
    of_image: bool = False

    def __call__(self, masks: np.ndarray, votes: int | None = None) -> np.ndarray:
        if len(masks) < 2:
            raise SaltrustError("agreement needs two readers or more")
        return self.function(masks, votes)


REFERENCES: Registry[Reference] = Registry("reference")


def _of_all(join: Callable[[np.ndarray, int | None], np.ndarray]) -> Callable:
    """References that join the marks of all, the same for each reader."""

    def references(masks: np.ndarray, votes: int | None) -> np.ndarray:
        return np.broadcast_to(join(masks, votes), (len(masks), 1, *masks.shape[1:]))

    return references


def _of_others(join: Callable[[np.ndarray, int | None], np.ndarray]) -> Callable:
    """References that join the marks of all but the reader; where votes need more than the others are, all of them."""

    def references(masks: np.ndarray, votes: int | None) -> np.ndarray:
        needed = None if votes is None else min(votes, len(masks) - 1)
        return np.stack([join(np.delete(masks, reader, axis=0), needed)[None] for reader in range(len(masks))])

    return references


def _every_other(masks: np.ndarray, votes: int | None) -> np.ndarray:
    return np.stack([np.delete(masks, reader, axis=0) for reader in range(len(masks))])


def _staple(masks: np.ndarray, votes: int | None) -> np.ndarray:
    return staple(masks).mask


for _name, _reference in {
    "consensus": Reference(_of_all(voted), "consensus, the reader in it", holds=True),
    "others": Reference(_of_others(voted), "the others' consensus", holds=False),
    "pairwise": Reference(_every_other, "each other reader", holds=False),
    "union": Reference(_of_all(lambda masks, votes: masks.any(axis=0)), "union of all", holds=True),
    "intersection": Reference(_of_all(lambda masks, votes: masks.all(axis=0)), "intersection of all", holds=True),
    "staple": Reference(_of_all(_staple), "STAPLE, the reader in it", holds=True, of_image=True),
    "others_staple": Reference(_of_others(_staple), "the others' STAPLE", holds=False, of_image=True),
}.items():
    REFERENCES.register(_name)(_reference)
