"""The handwritten digits that come with scikit-learn: 1,797 real images of 8 x 8 pixels, in three splits.

They are the test set of the UCI data set of 1998, by 13 writers. Who wrote which is not told, so that each writer may
be in all splits: how well a network reads strangers these digits cannot say.
"""

import hashlib
from functools import cache

import numpy as np

from saltrust.core.data_cards import SPLITS, Card
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.labelled_images import Split
from saltrust.datasets.loaders import LOADERS, Loader, refuse_findings

SIDE = 8  # pixels, as they come
CLASSES = tuple("0123456789")
INK = 16  # the darkest value in the files; 0 is the background
_ORDER_SEED = 0  # of the deal to the splits, the same for all studies


@cache
def _files() -> tuple[np.ndarray, np.ndarray]:
    """Ink (n, 8, 8), 0 to INK, and digits (n,), as scikit-learn reads them."""
    from sklearn.datasets import load_digits  # its import takes a second

    found = load_digits()
    return found.images, found.target.astype(np.int64)


def fingerprint() -> str:
    """Tells versions of the images apart."""
    ink, digits = _files()
    return hashlib.sha256(ink.tobytes() + digits.tobytes()).hexdigest()[:16]


def dealt_order(digits: np.ndarray, seed: int = _ORDER_SEED) -> np.ndarray:
    """An order in which any run of images has about as many of each digit as all have.

    Args:
        digits: of all images (n,).
        seed: of the order among those of one digit.

    Returns:
        Positions (n,).

    >>> digits = np.array([0, 0, 0, 1, 1, 1])
    >>> digits[dealt_order(digits)].tolist()
    [0, 1, 0, 1, 0, 1]
    """
    rng, place = np.random.default_rng(seed), np.empty(len(digits))
    for digit in np.unique(digits):
        own = np.flatnonzero(digits == digit)
        place[rng.permutation(own)] = (np.arange(len(own)) + 0.5) / len(own)
    return np.lexsort((digits, place))


def load(counts: dict[str, int], split: str, count: int, size: int) -> Split:
    """The first images of one split.

    Args:
        counts: images of each split, one after the other in the order of the deal; 1,797 at most.
        split: "train", "val" or "test".
        count: how many of them, 1 or more.
        size: side in pixels, a multiple of 8: a pixel becomes a square, and nothing is made up between them.

    Raises:
        SaltrustError: For an unknown split, more images than there are, or another size.

    >>> load({"train": 1097, "val": 300, "test": 400}, "test", 20, 8).pixels.shape
    (20, 8, 8)
    """
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    if size < SIDE or size % SIDE:
        raise SaltrustError(f"digits: size must be a multiple of {SIDE}, not {size}: a pixel becomes a square")
    if not 1 <= count <= counts[split]:
        raise SaltrustError(f"digits: the split {split} has 1 to {counts[split]} images, not {count}")
    ink, digits = _files()
    if sum(counts.values()) > len(digits):
        raise SaltrustError(f"digits: there are {len(digits)} images, not {sum(counts.values())}")
    first = sum(counts[name] for name in SPLITS[: SPLITS.index(split)])
    chosen = dealt_order(digits)[first : first + count]
    pixels = np.rint(ink[chosen] * (255 / INK)).astype(np.uint8)
    return Split(
        pixels=pixels.repeat(size // SIDE, axis=1).repeat(size // SIDE, axis=2),
        labels=digits[chosen],
        truth=None,
        boxes=np.zeros((0, 5), np.float32),
        ids=np.array([f"digit-{number:04d}" for number in chosen]),
        classes=CLASSES,
        absent=None,
    )


def _from_card(card: Card, split: str, count: int | None, size: int, seed: int) -> Split:
    """One split as the card describes it, the same for all seeds; count: None for all of it."""
    refuse_findings(card)
    if (card.truth, card.classes, card.absent) != ("none", CLASSES, None):
        raise SaltrustError(
            f"card '{card.name}': the digits have truth 'none' and the classes {', '.join(CLASSES)}, none absent"
        )
    if card.parameters:
        raise SaltrustError(f"card '{card.name}': the loader 'digits' takes no parameters")
    counts = {name: found.images for name, found in card.counts.items()}
    return load(counts, split, count or counts[split], size)


# They come with scikit-learn and lie in no folder of a card's.
LOADERS.register("digits")(
    Loader(_from_card, lambda card: fingerprint(), origin="the images come with scikit-learn"),
)
