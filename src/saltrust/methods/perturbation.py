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
from saltrust.methods.hidden_parts import Hidden, hiding_baseline, responses
from saltrust.methods.path_integrals import Key, Seed, check_keys
from saltrust.methods.registry import method
from saltrust.methods.totals import difference

Samples = Annotated[int, "partly hidden images"]
Segments = Annotated[int, "super-pixels asked for; their number follows the image"]

COMPACTNESS = 10.0  # of SLIC: scikit-image's usual weight of distance in space against distance in colour
SIGMA = 1.0  # pixels; noise from pixel to pixel must not fray the super-pixels
PENALTY = 1.0  # of LIME's ridge regression, as in the code of Ribeiro et al.


def superpixels(image: np.ndarray, count: int) -> np.ndarray:
    """Connected regions of about equal size and even tone.

    The result is deterministic; a constant image falls into a grid.

    Args:
        image: (h, w) or (h, w, channels), in any range: its own minimum and maximum are black and white. A grey image
            counts as three equal channels.
        count: regions asked for, at least 1; there may be some fewer, and in a very small image more.

    Returns:
        Labels (h, w), integers from 0 up, none left out.

    Raises:
        SaltrustError: the image has another shape, or the count is below 1.

    Source:
        Achanta et al. 2012 (SLIC), by scikit-image.

    >>> superpixels(np.zeros((8, 8)), 4)[[0, 7]][:, [0, 7]].tolist()  # the corners
    [[0, 1], [2, 3]]
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
    """Ridge regression of answers on which super-pixels were shown, near images counting more.

    Weights are exp(-d^2 / (2 width^2)), d the cosine distance to the whole image. The penalty is 1 and spares the
    intercept.

    Args:
        shown: which of k super-pixels each of m images shows (m, k), boolean.
        answers: the explained scalar of each image (m,).
        width: of the kernel, in cosine distance, above 0.

    Returns:
        An array (k,), in units of the answers.

    Raises:
        SaltrustError: the width is not above 0.

    Source:
        The code of Ribeiro et al. (lime_image.py, lime_base.py). Their paper, section 3.4, has no 2.

    >>> lime_coefficients(np.array([[True, True], [True, False]]), np.array([1.0, 1.0]), 0.25).tolist()
    [0.0, 0.0]
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
    from_protocol=lambda protocol, profile: {"samples": profile.perturbations},
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
    """Coefficients of a linear model of the network around the image.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one tuple of non-negative integers for each image, which its samples depend on.
        samples: versions of the image, at least 1; the first is whole, in the others each super-pixel is shown or
            hidden with probability 1/2.
        segments: super-pixels asked for.
        baseline: what hidden pixels become: a name in BASELINES, or a tensor that broadcasts to the images.
        width: of the kernel, in cosine distance, above 0.
        seed: of the samples.

    Returns:
        Maps (n, 1, height, width): a super-pixel's coefficient, in units of the explained scalar, over its number of
        pixels, as in `kernel_shap`.

    Raises:
        SaltrustError: samples, segments, width or baseline is not allowed.

    Source:
        Ribeiro et al. 2016, section 3.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten())
    >>> lime(Explained(network), torch.ones(1, 1, 4, 4), [(0,)], samples=8, segments=4).shape
    torch.Size([1, 1, 4, 4])
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
    """Coalitions that are neither empty nor full, and their weights in the regression.

    These are all 2^players - 2 of them, with the Shapley kernel as weights, where `samples` allows. Else `samples` of
    them are drawn from that kernel, each followed by its complement (paired sampling), all weighed alike.

    Args:
        players: number of players, at least 1.
        samples: number of coalitions, at least 2.
        rng: source of the random draws.

    Returns:
        Coalitions (m, players), boolean, and weights (m,).

    Source:
        Lundberg & Lee 2017, theorem 2 (kernel); Covert & Lee 2021 (paired sampling).

    >>> coalitions, weights = shapley_coalitions(2, 10, np.random.default_rng(0))
    >>> coalitions.tolist(), weights.tolist()
    ([[True, False], [False, True]], [0.5, 0.5])
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
    """The values, adding up to a total, whose sums over coalitions fit the gains best.

    The fit is by weighted least squares; of several best fits the one nearest to equal shares is taken. The constraint
    is exact: what differs from equal shares is sought among the vectors that add up to 0 alone.

    Args:
        coalitions: (m, k), boolean.
        weights: of the coalitions (m,).
        gains: of the coalitions (m,).
        total: what the values add up to.

    Returns:
        An array (k,), in units of the gains; NaN where a gain is not finite.

    >>> values = shapley_values(np.array([[True, False], [False, True]]), np.ones(2), np.array([1.0, 3.0]), 4.0)
    >>> values.round(6).tolist()
    [1.0, 3.0]
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
    from_protocol=lambda protocol, profile: {"samples": profile.perturbations},
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
    """Shapley values of super-pixels, by regression.

    Where the samples suffice for all coalitions, each is run once and the values are exact.

    Args:
        model: the network.
        images: (n, channels, height, width) in the model's input range.
        keys: one tuple of non-negative integers for each image, which its samples depend on.
        samples: coalitions of super-pixels, at least 2, beside the whole image and the baseline.
        segments: super-pixels asked for.
        baseline: what hidden pixels become: a name in BASELINES, or a tensor that broadcasts to the images.
        seed: of the samples.

    Returns:
        Maps (n, 1, height, width): a super-pixel's value, in units of the explained scalar, over its number of pixels,
        so that a map adds up to f(image) - f(baseline).

    Raises:
        SaltrustError: samples, segments or baseline is not allowed.

    Source:
        Lundberg & Lee 2017, section 4.1; Covert & Lee 2021.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten())
    >>> maps = kernel_shap(Explained(network), torch.ones(1, 1, 4, 4), [(0,)], samples=20, segments=4)
    >>> round(float(maps.sum()), 4)
    1.0
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
