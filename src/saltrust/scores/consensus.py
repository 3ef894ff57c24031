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
CLOSE = 1e-9  # a round that moves no estimate by more is the last
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
    return np.count_nonzero(masks, axis=0) >= votes


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
    codes, member, pixels = np.unique(
        (1 << np.arange(readers, dtype=np.int64)) @ flat, return_inverse=True, return_counts=True
    )
    marked = (codes >> np.arange(readers, dtype=np.int64)[:, None] & 1).astype(bool)  # (r, sets of readers)
    prior = float(flat.mean()) if prior is None else prior
    if not 0 <= prior <= 1:
        raise SaltrustError(f"a prior of {prior} is no probability: 0 to 1")
    sensitivity = specificity = np.full(readers, FIRST_GUESS)
    for rounds in range(1, ROUNDS + 1):  # noqa: B007
        true = _posterior(marked, prior, sensitivity, specificity)
        before = np.r_[sensitivity, specificity]
        sensitivity = _share(marked, pixels * true)
        specificity = _share(~marked, pixels * (1 - true))
        if np.allclose(before, np.r_[sensitivity, specificity], rtol=0, atol=CLOSE, equal_nan=True):
            break
    probability = _posterior(marked, prior, sensitivity, specificity)[member.ravel()]
    return Staple(probability.reshape(masks.shape[1:]), sensitivity, specificity, rounds)


def _posterior(marked: np.ndarray, prior: float, sensitivity: np.ndarray, specificity: np.ndarray) -> np.ndarray:
    """The probability that a pixel is true which just these readers marked; an unknown sensitivity tells nothing."""
    p, q = (np.nan_to_num(share, nan=0.5)[:, None] for share in (sensitivity, specificity))
    if_true = prior * np.where(marked, p, 1 - p).prod(axis=0)
    if_false = (1 - prior) * np.where(marked, 1 - q, q).prod(axis=0)
    total = if_true + if_false
    # Both are 0 where two readers contradict each other who are said to err never: the prior is all there is.
    return np.divide(if_true, total, out=np.full(total.shape, prior), where=total > 0)


def _share(of: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total = weights.sum()
    return (of @ weights) / total if total > 0 else np.full(len(of), np.nan)


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


_JOINED = {
    "consensus": (voted, "consensus", "the others' consensus"),
    "union": (lambda masks, votes: masks.any(axis=0), "union", "the others' union"),
    "intersection": (lambda masks, votes: masks.all(axis=0), "intersection", "the others' intersection"),
    "staple": (lambda masks, votes: staple(masks).mask, "STAPLE", "the others' STAPLE"),
}
for _name, (_join, _title, _) in _JOINED.items():
    REFERENCES.register(_name)(Reference(_of_all(_join), _title, holds=True, of_image=_name == "staple"))
REFERENCES.register("pairwise")(Reference(_every_other, "each other reader", holds=False))
for _name, (_join, _, _title) in _JOINED.items():
    _own = "others" if _name == "consensus" else f"others_{_name}"
    REFERENCES.register(_own)(Reference(_of_others(_join), _title, holds=False, of_image=_name == "staple"))
