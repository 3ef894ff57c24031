"""XRAI: regions of the image, ranked by how much attribution each adds."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from scipy.sparse import csr_array
from skimage.segmentation import felzenszwalb
from skimage.transform import resize

from saltrust.errors import SaltrustError
from saltrust.methods.preparation import CHANNELS
from saltrust.methods.registry import Parts, method

SCALES = (50, 100, 150, 250, 500, 1200)  # of Felzenszwalb's segmentation, from fine to coarse
SIGMA = 0.8
MIN_SIZE = 150  # pixels of a segment, on the grid of SIDE x SIDE
SIDE = 224
DILATION = 5  # pixels of the image
MIN_GAIN_PIXELS = 50  # a region that would add fewer is dropped


def segment(image: np.ndarray) -> np.ndarray:
    """Overlapping regions of an image (h, w) or (h, w, channels): a stack (k, h, w) of boolean masks.

    Felzenszwalb segmentations at six scales on the image resized to 224 x 224 and scaled to [-1, 1], each segment
    dilated by 5 pixels: the parameters and, segment for segment, the result of PAIR saliency (core/xrai.py), but for
    segments that vanish in resizing. A grey image counts as three equal channels. A constant image is one region.
    """
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise SaltrustError(f"an image has shape (height, width) or (height, width, channels), not {image.shape}")
    colour = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    low, high = float(colour.min()), float(colour.max())
    if not high > low:
        return np.ones((1, *colour.shape[:2]), dtype=bool)
    scaled = (colour - low) / (high - low) * 2 - 1
    scaled = resize(scaled, (SIDE, SIDE), order=3, mode="constant", preserve_range=True, anti_aliasing=True)
    masks = []
    for scale in SCALES:
        labels = felzenszwalb(scaled, scale=scale, sigma=SIGMA, min_size=MIN_SIZE)
        labels = resize(
            labels, colour.shape[:2], order=0, mode="constant", preserve_range=True, anti_aliasing=False
        ).astype(int)
        masks.append(labels == np.unique(labels)[:, None, None])
    return dilate(np.concatenate(masks), DILATION)


def dilate(masks: np.ndarray, radius: int) -> np.ndarray:
    """Dilate each mask of a stack (k, h, w) by a disk {(x, y): x^2 + y^2 <= radius^2}, in pixels.

    The disk is a pile of horizontal runs, so that a shift per row suffices, for all masks at once.
    """
    height, width = masks.shape[1:]
    padded = np.pad(masks, ((0, 0), (radius, radius), (radius, radius)))
    run = padded[:, :, radius : radius + width].copy()  # each pixel stands for the pixels within `reach` beside it
    dilated = np.zeros_like(masks)
    rows_of_reach = {row: int((radius**2 - row**2) ** 0.5) for row in range(-radius, radius + 1)}
    for reach in range(radius + 1):
        if reach:
            run |= padded[:, :, radius - reach : radius - reach + width]
            run |= padded[:, :, radius + reach : radius + reach + width]
        for row, half_width in rows_of_reach.items():
            if half_width == reach:
                dilated |= run[:, radius + row : radius + row + height]
    return dilated


def rank_regions(
    attribution: np.ndarray, segments: np.ndarray, min_pixels: int = MIN_GAIN_PIXELS
) -> tuple[np.ndarray, np.ndarray]:
    """Cover the image with regions, always by the one whose still uncovered pixels have the highest mean attribution
    (Kapishnikov et al. 2019, algorithm 1, in the full form of PAIR saliency).

    attribution: (h, w). segments: (k, h, w) bool. A region that would add fewer than min_pixels is dropped for good.
    Returns (gains, ranks), both (h, w): the mean attribution of the region that covered the pixel, and the rank of that
    gain from 1. Pixels that no region covers share their own mean, and the last rank. Ties go to the earlier segment.
    """
    if segments.ndim != 3 or segments.shape[1:] != attribution.shape:
        raise SaltrustError(f"segments {segments.shape} do not fit the attribution map {attribution.shape}: (k, h, w)")
    values = attribution.astype(np.float64).ravel()
    if not np.isfinite(values).all():
        return np.full(attribution.shape, np.nan), np.zeros(attribution.shape, dtype=int)
    masks = segments.reshape(len(segments), -1)
    member = csr_array(masks.T, dtype=float)  # (pixels, k): a pixel lies in few segments
    counts, sums = masks.sum(1), values @ member
    rounding = 1e-9 * np.abs(values).max(initial=0)
    covered = np.zeros(len(values), dtype=bool)
    regions: list[tuple[np.ndarray, float]] = []
    while (counts >= min_pixels).any():
        gains = np.where(counts >= min_pixels, sums / np.maximum(counts, 1), -np.inf)
        close = np.flatnonzero(gains >= gains.max() - rounding)
        added = [np.flatnonzero(masks[k] & ~covered) for k in close]
        exact = [values[pixels].mean() for pixels in added]  # running sums only shortlist: rounding must not decide
        best = int(np.argmax(exact))
        regions.append((added[best], exact[best]))
        covered[added[best]] = True
        lost = member[added[best]]
        counts -= lost.sum(0).astype(int)
        sums -= values[added[best]] @ lost
    regions.sort(key=lambda region: -region[1])
    if not covered.all():
        rest = np.flatnonzero(~covered)
        regions.append((rest, values[rest].mean()))
    gain_map, ranks = np.empty(len(values)), np.empty(len(values), dtype=int)
    for rank, (pixels, gain) in enumerate(regions, start=1):
        gain_map[pixels], ranks[pixels] = gain, rank
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
) -> np.ndarray:
    """Regions ranked by their Integrated Gradients, averaged over baselines (Kapishnikov et al. 2019, section 3).

    images: (n, height, width[, channels]). parts: "ig_<baseline>" of each baseline (n, channels, height, width), and
    "segments", n stacks (k, height, width) of boolean masks as from `segment`. channels: how those of the attribution
    are joined; PAIR saliency takes the "max". steps and quadrature are those of the parts. Returns (n, 1, height,
    width): for each pixel the mean attribution that its region added.
    """
    if not baselines:
        raise SaltrustError("XRAI needs at least one baseline")
    attribution = sum(parts[f"ig_{baseline}"].astype(np.float64) for baseline in baselines) / len(baselines)
    grey = CHANNELS[channels](attribution)
    pairs = zip(grey, parts["segments"], strict=True)
    return np.stack([rank_regions(one, segments)[0] for one, segments in pairs])[:, None]
