"""LIME and Kernel SHAP: hide super-pixels of the image and watch the explained scalar. They run forward only."""

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from skimage.segmentation import slic
from torch import Tensor

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.gradient import difference
from saltrust.methods.hidden_parts import Hidden, hiding_baseline, responses
from saltrust.methods.path_integrals import Key, Seed, check_keys
from saltrust.methods.registry import method

Samples = Annotated[int, "partly hidden images"]
Segments = Annotated[int, "super-pixels asked for; their number follows the image"]

COMPACTNESS = 10.0  # of SLIC: scikit-image's usual weight of distance in space against distance in colour
SIGMA = 1.0  # pixels; noise from pixel to pixel must not fray the super-pixels
PENALTY = 1.0  # of LIME's ridge regression, as in the code of Ribeiro et al.


def superpixels(image: np.ndarray, count: int) -> np.ndarray:
    """Connected regions of about equal size and even tone: SLIC (Achanta et al. 2012; scikit-image).

    image: (h, w) or (h, w, channels), in any range: its own minimum and maximum are black and white. A grey image
    counts as three equal channels. count: regions asked for; there may be some fewer, and in a very small image more.
    Returns labels (h, w) from 0 up, none left out. Deterministic; a constant image falls into a grid.
    """
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise SaltrustError(f"an image has shape (height, width) or (height, width, channels), not {image.shape}")
    if count < 1:
        raise SaltrustError(f"segments is {count}; an image has at least 1 super-pixel")
    layers = image.reshape(*image.shape[:2], -1).astype(np.float64)
    colour = np.repeat(layers, 3, axis=2) if layers.shape[2] == 1 else layers
    count = min(count, colour[..., 0].size)
    labels = slic(colour, n_segments=count, compactness=COMPACTNESS, sigma=SIGMA, start_label=0)
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)


def _segmented(images: Tensor, keys: Sequence[Key], count: int) -> np.ndarray:
    """The labels of the images' super-pixels (n, height, width)."""
    check_keys(keys, len(images))
    return np.stack([superpixels(image, count) for image in images.permute(0, 2, 3, 1).cpu().numpy()])


def _coalition_responses(
    model: Explained, images: Tensor, baseline: str | Tensor, labels: np.ndarray, coalitions: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """The explained scalar when only some super-pixels are shown: coalitions[i] (m_i, k_i) bool -> (m_i,) for each
    image. Images may differ in both numbers: all (image, coalition) pairs are one stream."""
    counts = [len(one) for one in coalitions]
    vectors = np.zeros((sum(counts), max(one.shape[1] for one in coalitions)), dtype=bool)
    for one, last in zip(coalitions, np.cumsum(counts), strict=True):
        vectors[last - len(one) : last, : one.shape[1]] = one
    source, regions, vectors = (
        torch.as_tensor(a, device=images.device)
        for a in (np.repeat(np.arange(len(counts)), counts), labels.reshape(len(labels), -1), vectors)
    )

    def shown(items: Tensor) -> Tensor:
        return vectors[items].gather(1, regions[source[items]]).view(-1, 1, *images.shape[2:])

    values = responses(model, images, baseline, source, shown)
    return np.split(values, np.cumsum(counts)[:-1])


def _spread(labels: np.ndarray, values: Sequence[np.ndarray], images: Tensor, dtype: torch.dtype) -> Tensor:
    """Share the value of each super-pixel evenly among its pixels, so that a map adds up to the values."""
    maps = [(one / np.bincount(regions.ravel()))[regions] for one, regions in zip(values, labels, strict=True)]
    return torch.as_tensor(np.stack(maps)[:, None]).to(images.device, dtype)


def _generator(seed: int, key: Key) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def lime_coefficients(shown: np.ndarray, answers: np.ndarray, width: float) -> np.ndarray:
    """Ridge regression of the answers (m,) on which super-pixels were shown (m, k) bool, near images counting more.

    Weights are exp(-d^2 / (2 width^2)), d the cosine distance to the whole image; the penalty is 1 and spares the
    intercept: the regression of the code of Ribeiro et al. (lime_image.py, lime_base.py). (Their paper, section 3.4,
    has no 2.) Returns (k,), in units of the answers.
    """
    if not width > 0:
        raise SaltrustError(f"width is {width}; it must be above 0")
    distance = 1 - np.sqrt(shown.mean(1))
    weights = np.exp(-((distance / width) ** 2) / 2)
    rows = shown - np.average(shown, axis=0, weights=weights)
    weighed = weights[:, None] * rows
    return np.linalg.solve(weighed.T @ rows + PENALTY * np.eye(rows.shape[1]), weighed.T @ answers)


@method(
    "lime",
    abbreviation="LIME",
    title="LIME",
    family="perturbation",
    cite="ribeiro2016why",
    formula=r"\mathrm{argmin}_{\beta} \, \sum_{z} \pi(z) \left(f(x_z) - \beta_0 - \sum_i \beta_i z_i\right)^2 "
    r"+ \lambda |\beta|^2",
    backward=False,
    passes=lambda p: p["samples"],
)
def lime(
    model: Explained,
    images: Tensor,
    keys: Sequence[Key],
    *,
    samples: Samples = 1000,
    segments: Segments = 50,
    baseline: Hidden = "grey",
    width: Annotated[float, "of the kernel, in cosine distance from the whole image"] = 0.25,
    seed: Seed = 0,
) -> Tensor:
    """Coefficients of a linear model of the network around the image (Ribeiro et al. 2016, section 3).

    samples: versions of the image, the first whole, in the others each super-pixel shown or hidden with probability
    1/2. images: (n, channels, height, width) in the model's input range. Returns (n, 1, height, width): a
    super-pixel's coefficient, in units of the explained scalar, divided by its number of pixels, as in kernel_shap.
    """
    if samples < 1:
        raise SaltrustError(f"samples is {samples}; LIME needs at least 1")
    accepted = model.accept(images)
    labels = _segmented(accepted, keys, segments)
    coalitions = []
    for key, regions in zip(keys, labels, strict=True):
        shown = _generator(seed, key).random((samples, regions.max() + 1)) < 0.5
        shown[0] = True
        coalitions.append(shown)
    answers = _coalition_responses(model, accepted, baseline, labels, coalitions)
    values = [lime_coefficients(*pair, width) for pair in zip(coalitions, answers, strict=True)]
    return _spread(labels, values, images, accepted.dtype)


def shapley_coalitions(players: int, samples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Coalitions (m, players) bool that are neither empty nor full, and their weights (m,) in the regression.

    All 2^players - 2 of them, with the Shapley kernel (Lundberg & Lee 2017, theorem 2) as weights, where `samples`
    allows; else `samples` of them drawn from that kernel, each followed by its complement (the paired sampling of
    Covert & Lee 2021), all weighed alike.
    """
    if 2**players - 2 <= samples:
        coalitions = (np.arange(1, 2**players - 1)[:, None] >> np.arange(players)) % 2 == 1
        sizes = coalitions.sum(1)
        subsets = np.array([math.comb(players, size) for size in sizes], dtype=float)
        return coalitions, (players - 1) / (subsets * sizes * (players - sizes))
    sizes = np.arange(1, players)
    odds = 1 / (sizes * (players - sizes))
    pairs = -(-samples // 2)
    drawn = rng.choice(sizes, size=pairs, p=odds / odds.sum())
    order = rng.random((pairs, players)).argsort(1).argsort(1)
    half = order < drawn[:, None]
    return np.stack([half, ~half], axis=1).reshape(-1, players)[:samples], np.ones(samples)


def shapley_values(coalitions: np.ndarray, weights: np.ndarray, gains: np.ndarray, total: float) -> np.ndarray:
    """The values (k,), adding up to `total`, whose sums over coalitions (m, k) fit the gains (m,) best.

    Weighted least squares; of several best fits the one nearest to equal shares. The constraint is exact: what differs
    from equal shares is sought among the vectors that add up to 0 alone. NaN where a gain is not finite.
    """
    shares = coalitions.mean(1)
    scale = np.sqrt(weights)
    rows = scale[:, None] * (coalitions - shares[:, None])
    return total / coalitions.shape[1] + np.linalg.lstsq(rows, scale * (gains - shares * total))[0]


def _from_hidden(model: Explained, images: Tensor, *, baseline: str | Tensor = "grey", **_: object) -> Tensor:
    return difference(model, images, [hiding_baseline(model, images, baseline)])


@method(
    "kernel_shap",
    abbreviation="KSHAP",
    title="Kernel SHAP",
    family="perturbation",
    cite="lundberg2017unified",
    formula=r"\sum_{S \subseteq R \setminus i} \frac{|S|! \, (k - |S| - 1)!}{k!} "
    r"\left(f(x_{S \cup i}) - f(x_S)\right)",
    backward=False,
    passes=lambda p: p["samples"] + 2,
    total=_from_hidden,
)
def kernel_shap(
    model: Explained,
    images: Tensor,
    keys: Sequence[Key],
    *,
    samples: Samples = 1000,
    segments: Segments = 50,
    baseline: Hidden = "grey",
    seed: Seed = 0,
) -> Tensor:
    """Shapley values of super-pixels, by regression (Lundberg & Lee 2017, section 4.1; Covert & Lee 2021).

    samples: coalitions of super-pixels, beside the whole image and the baseline; where they suffice for all coalitions,
    each is run once and the values are exact. images: (n, channels, height, width) in the model's input range. Returns
    (n, 1, height, width): a super-pixel's value, in units of the explained scalar, divided by its number of pixels, so
    that a map adds up to f(image) - f(baseline).
    """
    if samples < 2:
        raise SaltrustError(f"samples is {samples}; Kernel SHAP needs at least 2, a coalition and its complement")
    accepted = model.accept(images)
    labels = _segmented(accepted, keys, segments)
    drawn = [
        shapley_coalitions(int(regions.max()) + 1, samples, _generator(seed, key))
        for key, regions in zip(keys, labels, strict=True)
    ]
    coalitions = [np.pad(one, ((2, 0), (0, 0))) for one, _ in drawn]
    for shown in coalitions:
        shown[0] = True  # the whole image first, then the baseline
    answers = _coalition_responses(model, accepted, baseline, labels, coalitions)
    values = [
        shapley_values(one, weights, answer[2:] - answer[1], answer[0] - answer[1])
        for (one, weights), answer in zip(drawn, answers, strict=True)
    ]
    return _spread(labels, values, images, accepted.dtype)
