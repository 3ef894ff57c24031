"""What claims on the cells of Tjoa & Guan are tested on that their paper reads from pictures: colour channels, edges of
layers, lattices."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from math import log

import numpy as np
import pandas as pd
from scipy.ndimage import binary_dilation

from saltrust.analysis.claims.checks import CHECKS, TOO_SMALL, Outcome, label
from saltrust.analysis.claims.limits import LIMITS
from saltrust.analysis.claims.tables import TABLES, Evidence
from saltrust.artefacts import Artefact
from saltrust.core.labelled_images import Split
from saltrust.core.profiles import PROFILES
from saltrust.study.five_band import TJOA_EIGHT, FiveBandStudy
from saltrust.study.images import spread

CHANNELS = ("red", "green", "blue")
OF_A_CLASS, LOOKED_AT = 20, 30  # images: of one class, on the first branch; of all, on every branch
HARDLY = 1e-3  # of the power of the strongest frequencies: below, what is measured is the window
RED, EMPTY = "RCell", "empty"


def maps_of(graded: FiveBandStudy) -> Iterator[Artefact]:
    """The maps that the tables here are made of, beside those that are scored."""
    yield from graded.artefacts(TJOA_EIGHT, images=_looked_at(graded))
    yield from graded.artefacts(TJOA_EIGHT, branches=(1,), images=graded.of_class(EMPTY, OF_A_CLASS))
    yield from graded.artefacts(["guided_gradcam"], branches=(1,), images=graded.of_class(RED, OF_A_CLASS))


def _looked_at(graded: FiveBandStudy) -> tuple[int, ...]:
    return spread(graded.judged, LOOKED_AT)


# --- what a run cannot tell -------------------------------------------------------------------------------------------

BETWEEN_NETWORKS = ("recall_by_network", "blank")  # tables whose columns are networks, for claims that compare them


@LIMITS.register("unlike_the_paper")
def unlike_the_paper(evidence: Evidence, table: str) -> dict[str, str]:
    """Why columns of a table cannot answer a claim on the cells: what they compare differs otherwise than there.

    Args:
        evidence: on a data set; nothing is found where its truth is not graded.
        table: a name in TABLES.

    Returns:
        By column: networks of equal images in the paper that have unequal ones here; deeper networks that go on from
        the trained AlexNet, where the paper's are trained apart.
    """
    if evidence.study.card.truth != "graded":
        return {}
    graded = evidence.graded
    if table == "depth":
        bases = {network: graded.base(network).record for network in graded.deepened}
        short = [f"{base['steps']} steps from the trained AlexNet" for base in bases.values() if _goes_on(base)]
        return dict.fromkeys(evidence.table(table), short[0]) if short else {}
    if table not in BETWEEN_NETWORKS:
        return {}
    ours, paper = evidence.study.profile.branching.sizes, PROFILES["full"].branching.sizes
    unequal = [(a, b) for a, b in combinations(graded.networks, 2) if paper[a] == paper[b] and ours[a] != ours[b]]
    why = {
        pair: " and ".join(f"{label(n)} at {ours[n]}" for n in pair) + " pixels, equal in the paper" for pair in unequal
    }
    return {network: why[pair] for pair in unequal for network in pair}


def _goes_on(base: dict) -> bool:
    return base["weights"] == "alexnet"


# --- measures of one map ----------------------------------------------------------------------------------------------


def layer_edges(image: np.ndarray, grades: np.ndarray, width: int = 1) -> np.ndarray:
    """Pixels near an edge of a layer of the cell: its outline, and where two of its colours meet.

    Args:
        image: (h, w, 3) uint8; each layer of the cell has one colour.
        grades: truth (h, w), 0 outside the cell.
        width: how many pixels on either side of an edge count, at least 1.

    Returns:
        (h, w) bool.

    >>> layer_edges(np.zeros((1, 5, 3), np.uint8), np.array([[0, 0, 1, 1, 1]]))[0].tolist()
    [False, True, True, False, False]
    """
    inside = grades > 0
    found = np.zeros(grades.shape, bool)
    for axis in (0, 1):
        other = np.moveaxis(np.diff(image.astype(int), axis=axis).any(axis=-1), axis, 0)
        within = np.moveaxis(inside, axis, 0)
        outline, both = within[1:] != within[:-1], within[1:] & within[:-1]
        edge = outline | (other & both)
        view = np.moveaxis(found, axis, 0)
        view[1:] |= edge
        view[:-1] |= edge
    return binary_dilation(found, iterations=width - 1) if width > 1 else found


def edge_preference(values: np.ndarray, near: np.ndarray, inside: np.ndarray) -> float:
    """How much more of a map's magnitude than of the pixels lies near edges, on the cell and at its outline.

    Args:
        values: map (h, w).
        near: pixels near an edge (h, w), as from `layer_edges`.
        inside: pixels of the cell (h, w).

    Returns:
        A difference of two shares, in (-1, 1); 0 for a map that is the same everywhere, NaN for one that is 0 there.

    >>> near, inside = np.array([[True, False, False, False]]), np.ones((1, 4), bool)
    >>> edge_preference(np.array([[3.0, 0.0, -1.0, 0.0]]), near, inside)
    0.5
    """
    magnitude, counted = np.abs(values), near | inside
    total = magnitude[counted].sum()
    return float(magnitude[near].sum() / total - near.sum() / counted.sum()) if total > 0 else np.nan


def lattice_peak(values: np.ndarray) -> float:
    """The strongest spatial frequency of a map, compared with the strongest that noise has.

    Power over the mean power at equal frequencies is exponential for noise of any smoothness. The largest of N such
    values exceeds ln N + 4.6 in one of a hundred maps: that is 1 here. Frequencies below 4 cycles across the image are
    left out, as they show where the map lies, those above half a cycle a pixel, and those with hardly any power.

    Args:
        values: map (h, h), of at least 32 pixels a side.

    Returns:
        A ratio, above 1 where spots repeat at equal distances; NaN for a constant map.

    >>> grid = np.zeros((64, 64))
    >>> grid[::8, ::8] = 1
    >>> lattice_peak(grid) > 2
    True
    """
    side = len(values)
    window = np.hanning(side)
    power = np.abs(np.fft.fft2((values - values.mean()) * window * window[:, None])) ** 2
    frequency = np.fft.fftfreq(side, 1 / side)
    radius = np.hypot(frequency, frequency[:, None])
    ring = np.rint(radius).astype(int)
    mean = (np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel()))[: side // 2 + 1]
    if not mean[4:].any():
        return np.nan
    usual = np.exp(np.interp(radius, np.arange(len(mean)), np.log(mean + 1e-300)))
    counted = (radius >= 4) & (radius <= side / 2) & (usual > HARDLY * mean[4:].max())
    return float((power / usual)[counted].max() / (log(counted.sum() / 2) + 4.6))  # each frequency is there twice


def channel_signs(values: np.ndarray, inside: np.ndarray) -> list[float]:
    """Sum over magnitude of a map (c, h, w) on the cell, in red, green and blue: from -1 to 1, NaN where it is 0.

    A map of one channel has the same in all.

    >>> channel_signs(np.array([[[2.0]], [[-1.0]], [[0.0]]]), np.array([[True]]))[:2]
    [1.0, -1.0]
    """
    on_cell = np.broadcast_to(values, (len(CHANNELS), *inside.shape))[:, inside]
    total = np.abs(on_cell).sum(axis=1)
    return np.divide(on_cell.sum(axis=1), total, out=np.full(len(CHANNELS), np.nan), where=total > 0).tolist()


# --- tables -----------------------------------------------------------------------------------------------------------


def _by_image(
    graded: FiveBandStudy, network: str, images: Sequence[int], branches: Iterable[np.ndarray]
) -> "pd.Series[float]":
    """Means over the branches of a value by image, named by the images."""
    return pd.Series(np.nanmean(list(branches), axis=0), index=graded.test(network).ids[list(images)])


@TABLES.register("edges")
def _edges(evidence: Evidence) -> pd.DataFrame:
    """How much more of each map than of the pixels lies near edges of the cell's layers, by network and method."""
    graded = evidence.graded
    images = [i for i in _looked_at(graded) if graded.study.images.split("test").present[i]]
    columns = {}
    for network in graded.networks:
        near, inside = _layers(graded.test(network), images)
        for name in TJOA_EIGHT:
            branches = (
                [
                    edge_preference(*one)
                    for one in zip(_chosen(graded, name, network, b, images), near, inside, strict=True)
                ]
                for b in graded.study.networks.branches(network)
            )
            columns[f"{network}/{name}"] = _by_image(graded, network, images, branches)
    return pd.DataFrame(columns)


def _layers(test: Split, images: Sequence[int]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Pixels near an edge, within a 128th of the side, and pixels of the cell, of each image."""
    width = max(1, round(test.pixels.shape[1] / 128))
    near = [layer_edges(test.pixels[i], test.grades[i], width) for i in images]
    return near, [test.grades[i] > 0 for i in images]


def _chosen(graded: FiveBandStudy, name: str, network: str, branch: int, images: Sequence[int]) -> np.ndarray:
    """Adjusted maps of some of the images that are looked at."""
    of = _looked_at(graded)
    return graded.adjusted(name, network, branch, of)[[of.index(i) for i in images]]


@TABLES.register("deeplift_alike")
def _deeplift_alike(evidence: Evidence) -> pd.DataFrame:
    """Cosine of the maps of DeepLift and DeepLiftShap, by network."""
    graded = evidence.graded
    images = _looked_at(graded)
    columns = {}
    for network in graded.networks:
        branches = (
            _cosines(*(graded.adjusted(name, network, b, images) for name in ("deeplift", "deeplift_shap")))
            for b in graded.study.networks.branches(network)
        )
        columns[network] = _by_image(graded, network, images, branches)
    return pd.DataFrame(columns)


def _cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of pairs of maps (n, h, w); NaN where one is 0."""
    products = [(a * b).sum(axis=(1, 2)) for a, b in ((first, second), (first, first), (second, second))]
    lengths = np.sqrt(products[1] * products[2])
    return np.divide(products[0], lengths, out=np.full(len(first), np.nan), where=lengths > 0)


@TABLES.register("lattice")
def _lattice(evidence: Evidence) -> pd.DataFrame:
    """The strongest spatial frequency of maps of images without a cell over that of noise, by network and method."""
    graded = evidence.graded
    images = graded.of_class(EMPTY, OF_A_CLASS)
    return pd.DataFrame(
        {
            f"{network}/{name}": _by_image(
                graded, network, images, [[lattice_peak(one) for one in graded.adjusted(name, network, 1, images)]]
            )
            for network in graded.networks
            for name in TJOA_EIGHT
        }
    )


@TABLES.register("red_channels")
def _red_channels(evidence: Evidence) -> pd.DataFrame:
    """Sum over magnitude of Guided Grad-CAM on cells with a red border, by network and colour channel."""
    graded = evidence.graded
    images = graded.of_class(RED, OF_A_CLASS)
    columns = {}
    for network in graded.networks:
        raw, grades = graded.raw("guided_gradcam", network, 1, images), graded.test(network).grades
        signs = [channel_signs(one, grades[i] > 0) for one, i in zip(raw, images, strict=True)]
        for channel, values in zip(CHANNELS, np.transpose(signs), strict=True):
            columns[f"{network}/{channel}"] = _by_image(graded, network, images, [values])
    return pd.DataFrame(columns)


# --- checks -----------------------------------------------------------------------------------------------------------


@CHECKS.register("some_below")
def some_below(evidence: Evidence, table: str, bound: float = 0.0) -> Outcome:
    """At least one column has a mean below a bound: "not necessarily" above it. One that the run is too small to tell
    may be the one."""
    answers = {column: CHECKS["above"](evidence, table, [column], bound, less=True) for column in evidence.table(table)}
    word = next(
        one for one in ("yes", "unclear", TOO_SMALL, "no") if one in {found.agrees for found in answers.values()}
    )
    named = [label(column) for column, found in answers.items() if found.agrees == "yes"]
    ours = f"{len(named)} of {len(answers)} clearly below" + (f": {', '.join(named)}" if named else "")
    lowest = max(answers.values(), key=lambda found: found.estimate)
    why = "the lowest column, how far below; one clearly below: yes; all clearly above: no"
    limit = "; ".join(dict.fromkeys(found.limit for found in answers.values() if found.limit))
    return Outcome(ours, word, why, lowest.estimate, lowest.ci_low, lowest.ci_high, limit)
