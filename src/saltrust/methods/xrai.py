"""XRAI: regions of the image, ranked by how much attribution each adds."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
from scipy.ndimage import find_objects
from scipy.sparse import csr_array
from skimage.transform import resize

from saltrust.core.errors import SaltrustError
from saltrust.core.registry import Registry
from saltrust.methods.preparation import CHANNELS
from saltrust.methods.registry import Parts, method

SCALES = (50, 100, 150, 250, 500, 1200)  # of Felzenszwalb's segmentation, from fine to coarse
SIGMA = 0.8
MIN_SIZE = 150  # pixels of a segment, on the grid of SIDE x SIDE
SIDE = 224
DILATION = 5  # pixels of the image
MIN_GAIN_PIXELS = 50  # a region that would add fewer is dropped


def segment(image: np.ndarray) -> np.ndarray:
    """Overlapping regions of an image.

    They are Felzenszwalb segmentations at six scales on the image resized to 224 x 224 and scaled to [-1, 1], each
    segment dilated by 5 pixels. A constant image is one region.

    Args:
        image: (h, w) or (h, w, channels), in any range. A grey image counts as three equal channels.

    Returns:
        A stack (k, h, w) of boolean masks.

    Raises:
        SaltrustError: the image has another shape.

    Source:
        PAIR saliency (core/xrai.py): its parameters and, segment for segment, its result, but for segments that vanish
        in resizing.

    >>> segment(np.zeros((4, 4))).shape
    (1, 4, 4)
    """
    from saltrust.methods.felzenszwalb import felzenszwalb  # imports numba, which whoever has the segments can spare

    if image.ndim not in (2, 3) or 0 in image.shape:
        raise SaltrustError(f"an image has shape (height, width) or (height, width, channels), not {image.shape}")
    colour = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    low, high = float(colour.min()), float(colour.max())
    if not high > low:
        return np.ones((1, *colour.shape[:2]), dtype=bool)
    scaled = (colour - low) / (high - low) * 2 - 1
    # The channels of a grey image come out different in the last bits, and such bits decide between equal edges.
    scaled = resize(scaled, (SIDE, SIDE), order=3, mode="constant", preserve_range=True, anti_aliasing=True)
    enlarge = partial(resize, order=0, mode="constant", preserve_range=True, anti_aliasing=False)
    segmentations = felzenszwalb(scaled, SCALES, SIGMA, MIN_SIZE)
    return dilated_masks([enlarge(labels, colour.shape[:2]).astype(int) for labels in segmentations], DILATION)


def dilated_masks(segmentations: Sequence[np.ndarray], radius: int) -> np.ndarray:
    """Mask of each label of each segmentation, dilated. A label that does not occur has no mask.

    Args:
        segmentations: label images (h, w), integers from 0.
        radius: of the dilation, see `dilate`.

    Returns:
        A stack (k, h, w) of boolean masks.

    >>> dilated_masks([np.array([[0, 0, 1, 1]])], 1).astype(int).tolist()
    [[[1, 1, 1, 0]], [[0, 1, 1, 1]]]
    """
    found = [(labels, *one) for labels in segmentations for one in enumerate(find_objects(labels + 1)) if one[1]]
    masks = np.zeros((len(found), *segmentations[0].shape), dtype=bool)
    for mask, (labels, label, box) in zip(masks, found, strict=True):
        grown = tuple(slice(max(side.start - radius, 0), side.stop + radius) for side in box)
        mask[grown] = dilate(labels[grown] == label, radius)
    return masks


def dilate(mask: np.ndarray, radius: int) -> np.ndarray:
    """Dilate a mask by a disk {(x, y): x^2 + y^2 <= radius^2}.

    The disk is a pile of horizontal runs, so that a shift for each row suffices.

    Args:
        mask: (h, w), boolean.
        radius: in pixels, a whole number from 0.

    Returns:
        The dilated mask (h, w).

    >>> dilate(np.array([[False, False, True, False]]), 1).astype(int).tolist()
    [[0, 1, 1, 1]]
    """
    height, width = mask.shape
    padded = np.zeros((height + 2 * radius, width + 2 * radius), dtype=bool)
    padded[radius : radius + height, radius : radius + width] = mask
    run = padded[:, radius : radius + width].copy()  # each pixel stands for the pixels within `reach` beside it
    dilated = np.zeros_like(mask)
    rows_of_reach = {row: int((radius**2 - row**2) ** 0.5) for row in range(-radius, radius + 1)}
    for reach in range(radius + 1):
        if reach:
            run |= padded[:, radius - reach : radius - reach + width]
            run |= padded[:, radius + reach : radius + reach + width]
        for row, half_width in rows_of_reach.items():
            if half_width == reach:
                dilated |= run[radius + row : radius + row + height]
    return dilated


Regions = list[tuple[np.ndarray, float]]
ALGORITHMS: Registry[Callable[[np.ndarray, list[np.ndarray], int], Regions]] = Registry("XRAI algorithm")
"""How the image is covered: (value of each pixel, pixels of each segment, fewest pixels that a region may add) ->
the pixels that each region adds, and their mean value, as they are chosen. Ties go to the earlier segment."""


@ALGORITHMS.register("full")
def _best_of_the_rest(values: np.ndarray, segments: list[np.ndarray], min_pixels: int) -> Regions:
    """Always the region whose still uncovered pixels have the highest mean."""
    pixels, counts = np.concatenate(segments), np.array([len(segment) for segment in segments])
    shape = len(segments), len(values)
    worth = csr_array((values[pixels].astype(np.float64), pixels, np.r_[0, np.cumsum(counts)]), shape)
    worth = worth.T.tocsr()  # from each pixel to its few segments
    sums = worth.sum(0)
    rounding = np.finfo(values.dtype).eps ** 0.5 * np.abs(values).max()
    covered = np.zeros(len(values), dtype=bool)
    regions: Regions = []
    while (counts >= min_pixels).any():
        means = np.where(counts >= min_pixels, sums / np.maximum(counts, 1), -np.inf)
        close = np.flatnonzero(means >= means.max() - rounding)
        added = [segments[k][~covered[segments[k]]] for k in close]
        gains = [values[pixels].mean() for pixels in added]  # running sums only shortlist: rounding must not decide
        best = int(np.argmax(gains))
        regions.append((added[best], gains[best]))
        covered[added[best]] = True
        lost = worth[added[best]]
        counts -= np.bincount(lost.indices, minlength=len(segments))
        sums -= np.bincount(lost.indices, lost.data, minlength=len(segments))
    return regions


@ALGORITHMS.register("fast")
def _by_mean_over_all_pixels(values: np.ndarray, segments: list[np.ndarray], min_pixels: int) -> Regions:
    """In the order of the means over whole segments, whatever is already covered."""
    means = [values[segment].mean() if len(segment) else -np.inf for segment in segments]
    covered = np.zeros(len(values), dtype=bool)
    regions: Regions = []
    for k in np.argsort(-np.array(means), kind="stable"):
        added = segments[k][~covered[segments[k]]]
        if len(added) >= min_pixels:
            regions.append((added, values[added].mean()))
            covered[added] = True
    return regions


def rank_regions(
    attribution: np.ndarray, segments: np.ndarray, algorithm: str = "full", min_pixels: int = MIN_GAIN_PIXELS
) -> tuple[np.ndarray, np.ndarray]:
    """Cover the image with regions, the most attributed first.

    A region that would add fewer than min_pixels is dropped for good. Pixels that no region covers share their own
    mean, and the last rank.

    Args:
        attribution: (h, w), any real numbers.
        segments: regions (k, h, w), boolean, at least one.
        algorithm: "full" weighs, each time anew, the pixels that a region would add; "fast" ranks the regions once, by
            all of their pixels. Both are those of PAIR saliency (core/xrai.py).
        min_pixels: fewest pixels that a region may add.

    Returns:
        Gains (h, w), the mean attribution of the region that covered the pixel, and ranks (h, w), the rank of that gain
        from 1. They are NaN, and 0, where the attribution is not finite anywhere.

    Raises:
        SaltrustError: the segments do not fit the attribution.

    Source:
        Kapishnikov et al. 2019, algorithm 1.

    >>> halves = np.array([[[True, True, False, False]], [[False, False, True, True]]])
    >>> gains, ranks = rank_regions(np.array([[0.0, 1.0, 2.0, 4.0]]), halves, min_pixels=1)
    >>> gains.tolist(), ranks.tolist()
    ([[0.5, 0.5, 3.0, 3.0]], [[2, 2, 1, 1]])
    """
    if segments.ndim != 3 or not len(segments) or segments.shape[1:] != attribution.shape:
        raise SaltrustError(f"segments {segments.shape} do not fit the attribution map {attribution.shape}: (k, h, w)")
    values = attribution.astype(np.result_type(attribution, np.float32)).ravel()
    if not np.isfinite(values).all():
        return np.full(attribution.shape, np.nan), np.zeros(attribution.shape, dtype=int)
    regions = ALGORITHMS[algorithm](values, [np.flatnonzero(mask) for mask in segments], max(min_pixels, 1))
    regions.sort(key=lambda region: -region[1])
    gain_map, ranks = np.empty(len(values)), np.zeros(len(values), dtype=int)
    for rank, (pixels, gain) in enumerate(regions, start=1):
        gain_map[pixels], ranks[pixels] = gain, rank
    rest = ranks == 0
    if rest.any():
        gain_map[rest], ranks[rest] = values[rest].mean(), len(regions) + 1
    return gain_map.reshape(attribution.shape), ranks.reshape(attribution.shape)


def _parts(parameters: Mapping[str, Any]) -> Parts:
    path = {name: parameters[name] for name in ("steps", "quadrature")}
    return {f"ig_{baseline}": ("ig", path | {"baseline": baseline}) for baseline in parameters["baselines"]}


@method(
    "xrai",
    abbreviation="XRAI",
    title="XRAI",
    family="perturbation",
    cite="kapishnikov2019xrai",
    formula=r"\max_{s} \frac{1}{|s \setminus m|} \sum_{i \in s \setminus m} \overline{\mathrm{IG}}_i(x)",
    signed=False,
    parts=_parts,
    segments=True,
    from_protocol=lambda protocol, profile: {
        "steps": min(protocol.xrai_steps, profile.steps),
        "quadrature": protocol.quadrature,
        "baselines": protocol.xrai_baselines,
        "channels": protocol.xrai_channels,
    },
)
def xrai(
    images: np.ndarray,
    keys: Sequence[tuple[int, ...]],
    parts: Mapping[str, np.ndarray],
    *,
    steps: Annotated[int, "points on each path"] = 25,
    quadrature: Annotated[str, "how the points are placed and weighed"] = "gauss_legendre",
    baselines: Annotated[tuple[str, ...], "where the paths start; their attributions are averaged"] = (
        "black",
        "white",
    ),
    channels: Annotated[str, "how the channels of the attribution are joined"] = "max",
    algorithm: Annotated[str, '"full", or "fast": regions ranked once, whatever is already covered'] = "full",
) -> np.ndarray:
    """Regions ranked by their Integrated Gradients, averaged over baselines.

    Args:
        images: uint8 (n, height, width[, 3]); not used.
        keys: one noise key for each image; not used.
        parts: "ig_<baseline>" of each baseline (n, channels, height, width), and "segments", n stacks (k, height,
            width) of boolean masks as from `segment`, each of which is asked for when its turn has come.
        steps: points on each path, which the parts were made with.
        quadrature: how the points are placed and weighed, which the parts were made with.
        baselines: where the paths start, at least one; their attributions are averaged.
        channels: how the channels of the attribution are joined, a name in CHANNELS; PAIR saliency takes the "max".
        algorithm: "full" or "fast", as in `rank_regions`.

    Returns:
        Maps (n, 1, height, width): for each pixel the mean attribution that its region added.

    Raises:
        SaltrustError: there is no baseline, or a name is unknown.

    Source:
        Kapishnikov et al. 2019, section 3.

    >>> parts = {"ig_black": np.ones((1, 1, 8, 8)), "segments": [np.ones((1, 8, 8), bool)]}
    >>> xrai(np.zeros((1, 8, 8), np.uint8), [(0,)], parts, baselines=("black",))[0, 0, 0, 0].item()
    1.0
    """
    if not baselines:
        raise SaltrustError("XRAI needs at least one baseline")
    paths = [parts[f"ig_{baseline}"] for baseline in baselines]
    maps = np.empty((len(paths[0]), 1, *paths[0].shape[2:]))
    for i, segments in zip(
        range(len(maps)), parts["segments"], strict=True
    ):  # image by image: regions take much memory
        attribution = sum(path[i : i + 1].astype(np.float64) for path in paths) / len(paths)
        maps[i, 0], _ = rank_regions(CHANNELS[channels](attribution)[0], segments, algorithm)
    return maps
