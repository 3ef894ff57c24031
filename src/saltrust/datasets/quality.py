"""What can be wrong with a data set before anything is learned from it: leaks between splits, labels that contradict
the truth, findings too small or too large to score."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from PIL import Image
from scipy.fft import dctn

from saltrust.core.labelled_images import Split
from saltrust.datasets.records import Record

SIDE, BITS = 64, 16  # pixels to which an image is reduced, and frequencies along each axis that are kept: 256 bits
ALIKE = 12  # of BITS ** 2: so far apart are an image and its re-encoded, resized or brightened copy at most
SMALL, LARGE = 16, 0.5  # a finding of fewer pixels has hardly a place; one of a larger share is hardly localized


def perceptual_hashes(pixels: np.ndarray) -> np.ndarray:
    """Hashes of images that survive another size, coding, brightness or contrast.

    Each image is reduced to 64 x 64 grey values; a bit says whether one of the 16 x 16 lowest coefficients of its
    cosine transform lies above their median (pHash: Zauner 2010, sec. 3.2.1, there with 8 x 8 of 32 x 32).

    Args:
        pixels: (n, h, w) or (n, h, w, 3) uint8, or a list of images of several sizes.

    Returns:
        (n, 4) uint64.
    """
    small = [Image.fromarray(image).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX) for image in pixels]
    spectrum = dctn(np.stack([np.asarray(image, dtype=np.float64) for image in small]), axes=(1, 2))
    low = spectrum[:, :BITS, :BITS].reshape(len(small), -1)
    low[:, 0] = 0  # the mean grey value says nothing of the content
    bits = np.abs(low) > 1e-9 * np.abs(spectrum).max()  # rounding must not decide the bits of an image of one colour
    bits &= low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64)


def duplicates(hashes: np.ndarray, alike: int = ALIKE, chunk: int = 512) -> Iterator[tuple[int, int]]:
    """Pairs (i < j) of hashes (n, 4) that differ in at most `alike` bits, in ascending order."""
    for start in range(0, len(hashes), chunk):
        differing = np.bitwise_count(hashes[start : start + chunk, None] ^ hashes[None]).sum(axis=2, dtype=np.int64)
        for i, j in np.argwhere(differing <= alike):
            if start + i < j:
                yield int(start + i), int(j)


@dataclass(frozen=True)
class Check:
    """One kind of fault.

    Attributes:
        check: what was looked for.
        found: how often.
        among: how many.
        examples: the first few cases.
    """

    check: str
    found: int
    among: int
    examples: str


def report(splits: Mapping[str, Split], alike: pd.DataFrame, records: Sequence[Record] = ()) -> pd.DataFrame:
    """What is wrong with a data set.

    Args:
        splits: by name, as they are used.
        alike: their `pairs_alike`.
        records: of all the data set's files, which say what images belong to; none for generated data, where every
            image stands for itself.

    Returns:
        Columns check, found, among, examples; a row for each check, found or not.
    """
    return pd.DataFrame([*_leaks(splits, alike, records), *_contradictions(splits), *_sizes(splits)])


def counts_by_finding(records: Sequence[Record], findings: Sequence[str]) -> dict[str, int]:
    """How many images have each of several independent findings."""
    return {name: sum(name in record.findings for record in records) for name in findings}


def counts_by_reader(records: Sequence[Record]) -> dict[str, tuple[int, int]]:
    """By reader, how many images he read, and in how many he drew something; readers in alphabetical order."""
    names = sorted({name for record in records for name in record.readers})
    read = {name: [record.readers[name] for record in records if name in record.readers] for name in names}
    return {name: (len(drawn), sum(map(bool, drawn))) for name, drawn in read.items()}


def groups(records: Sequence[Record]) -> set[str]:
    """What images belong to, where the files say."""
    return {record.group for record in records if record.group}


def groups_apart(records: Sequence[Record]) -> list[str]:
    """Groups (patients, slices) that have images in several splits, each with these splits."""
    homes: dict[str, set[str]] = {}
    for record in records:
        if record.group and record.split:
            homes.setdefault(record.group, set()).add(record.split)
    return [f"{group} ({', '.join(sorted(there))})" for group, there in homes.items() if len(there) > 1]


def pairs_alike(splits: Mapping[str, Split]) -> pd.DataFrame:
    """Images that are nearly the same: columns first_split, first, second_split, second (positions in their splits)."""
    where = [(name, i) for name, split in splits.items() for i in range(len(split))]
    hashes = np.concatenate([perceptual_hashes(split.pixels) for split in splits.values()])
    rows = [(*where[i], *where[j]) for i, j in duplicates(hashes)]
    return pd.DataFrame(rows, columns=["first_split", "first", "second_split", "second"])


def _leaks(splits: Mapping[str, Split], alike: pd.DataFrame, records: Sequence[Record]) -> list[Check]:
    apart = alike["first_split"] != alike["second_split"]
    names = {
        side: [splits[s].ids[i] for s, i in zip(alike[f"{side}_split"], alike[side], strict=True)]
        for side in ("first", "second")
    }
    pairs = np.array([f"{a} = {b}" for a, b in zip(names["first"], names["second"], strict=True)], dtype=str)
    images = sum(map(len, splits.values()))
    return [
        _check("groups in several splits", groups_apart(records), len(groups(records))),
        _check("near copies between splits", pairs[apart], images),
        _check("near copies within a split", pairs[~apart], images),
    ]


def _contradictions(splits: Mapping[str, Split]) -> list[Check]:
    images = sum(map(len, splits.values()))
    marked = {name: split.truth.any(axis=(1, 2)) for name, split in splits.items() if split.truth is not None}
    unmarked = [i for name, there in marked.items() for i in splits[name].ids[splits[name].present & ~there]]
    extra = [i for name, there in marked.items() for i in splits[name].ids[~splits[name].present & there]]
    blank = [
        i for split in splits.values() for i in split.ids[np.ptp(split.pixels.reshape(len(split), -1), axis=1) == 0]
    ]
    shares = {name: split.present.mean() for name, split in splits.items()}
    unlike = [
        f"{a} {shares[a]:.0%}, {b} {shares[b]:.0%}" for a, b in combinations(splits, 2) if _differ(splits[a], splits[b])
    ]
    return [
        _check("finding without truth", unmarked, images),
        _check("truth without finding", extra, images),
        _check("images of one value", blank, images),
        _check("splits of unlike prevalence", unlike, len(list(combinations(splits, 2)))),
    ]


def _sizes(splits: Mapping[str, Split]) -> list[Check]:
    located = [split for split in splits.values() if split.truth is not None]
    areas = [(i, truth.sum(), truth.size) for s in located for i, truth in zip(s.ids, s.truth, strict=True)]
    marked = [(i, area, of) for i, area, of in areas if area]
    small = [i for i, area, _ in marked if area < SMALL]
    large = [i for i, area, of in marked if area > LARGE * of]
    return [
        _check(f"findings below {SMALL} pixels", small, len(marked)),
        _check(f"findings above {LARGE:.0%} of the image", large, len(marked)),
    ]


def _differ(first: Split, second: Split) -> bool:
    """Whether the shares of images with the finding differ by more than chance (Fisher's exact test)."""
    from scipy.stats import fisher_exact

    table = [[int(split.present.sum()), int((~split.present).sum())] for split in (first, second)]
    return fisher_exact(table).pvalue < 0.01


def _check(what: str, cases: Sequence[str], among: int, shown: int = 3) -> Check:
    more = f", and {len(cases) - shown} more" if len(cases) > shown else ""
    return Check(what, len(cases), among, "; ".join(map(str, cases[:shown])) + more)
