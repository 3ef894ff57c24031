"""Controls: maps of the image alone, or of nothing at all. A saliency map that does not beat them says nothing."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.ndimage import sobel as derivative
from skimage.feature import canny as canny_edges

from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.methods.path_integrals import Key, check_keys
from saltrust.methods.registry import method

LUMINANCE = (0.2125, 0.7154, 0.0721)  # of red, green and blue: Rec. 709, as in scikit-image
POLARITIES = ("bright", "dark")
TRUNCATE = 4.0  # standard deviations after which the random field's kernel ends


def luminance(images: np.ndarray) -> np.ndarray:
    """Grey levels of images.

    Args:
        images: uint8 (n, height, width) or (n, height, width, 3).

    Returns:
        An array (n, height, width) in [0, 1].

    Raises:
        SaltrustError: the images have another shape or type.

    >>> luminance(np.array([[[0, 255]]], np.uint8)).tolist()
    [[[0.0, 1.0]]]
    """
    colour = images.ndim == 4 and images.shape[3] == 3
    if images.dtype != np.uint8 or not (images.ndim == 3 or colour):
        raise SaltrustError(f"images are uint8 (n, height, width[, 3]), not {images.dtype} {images.shape}")
    return (images @ np.array(LUMINANCE) if colour else images) / 255


control = partial(method, family="control", signed=False, parts=lambda parameters: {})


@control(
    "sobel",
    abbreviation="SOBEL",
    title="Sobel edges",
    cite="",
    formula=r"\sqrt{\frac{1}{2} \left(S_u \ast x\right)^2 + \frac{1}{2} \left(S_v \ast x\right)^2}",
)
def sobel(images: np.ndarray, keys: Sequence[Key], parts: Mapping[str, np.ndarray]) -> np.ndarray:
    """Strength of the image's edges: root mean square of its two Sobel derivatives, scaled as in scikit-image.

    Args:
        images: uint8 (n, height, width[, 3]).
        keys: one noise key for each image; not used.
        parts: none.

    Returns:
        Maps (n, 1, height, width): the difference of grey levels in [0, 1] across two pixels; exactly 0 where the image
        is even.

    >>> float(sobel(np.full((1, 4, 4), 128, np.uint8), [(0,)], {}).max())
    0.0
    """
    edges = [np.hypot(derivative(grey, 0), derivative(grey, 1)) for grey in luminance(images)]
    return np.stack(edges)[:, None] / 4 / 2**0.5


@control(
    "canny",
    abbreviation="CANNY",
    title="Canny edges",
    cite="canny1986computational",
    formula=r"\mathbb{1}[x \; \mathrm{has \; an \; edge \; at} \; (u, v)]",
)
def canny(
    images: np.ndarray,
    keys: Sequence[Key],
    parts: Mapping[str, np.ndarray],
    *,
    sigma: Annotated[float, "standard deviation of the blur before, in pixels"] = 0.8,
    low: Annotated[float, "Sobel sum at which an edge may go on, in grey levels of 255 (a step of 1 gives 4)"] = 30.0,
    high: Annotated[float, "Sobel sum at which an edge begins, in grey levels of 255"] = 90.0,
) -> np.ndarray:
    """Where the image has edges, 1, and elsewhere 0: the low baseline of Venkatesh et al.

    The defaults are those of their code, which blurs with a mean over 3 x 3 pixels: its standard deviation is 0.8.

    Args:
        images: uint8 (n, height, width[, 3]).
        keys: one noise key for each image; not used.
        parts: none.
        sigma: standard deviation of the blur before, in pixels, at least 0.
        low: Sobel sum at which an edge may go on, in grey levels of 255 (a step of 1 gives 4), at least 0.
        high: Sobel sum at which an edge begins, in grey levels of 255, at least `low`.

    Returns:
        Maps (n, 1, height, width), 0 or 1.

    Raises:
        SaltrustError: a parameter is out of range.

    Source:
        Canny 1986, by scikit-image.

    >>> float(canny(np.full((1, 8, 8), 128, np.uint8), [(0,)], {}).max())
    0.0
    """
    if not (sigma >= 0 and 0 <= low <= high):
        raise SaltrustError(f"sigma is at least 0, and 0 <= low <= high; not {sigma=}, {low=}, {high=}")
    edges = [canny_edges(grey, sigma, low / 255, high / 255) for grey in luminance(images)]
    return np.stack(edges)[:, None].astype(float)


@control(
    "centre",
    abbreviation="CENTRE",
    title="Centre prior",
    cite="",
    formula=r"\exp\left(-\frac{u^2 + v^2}{2 \sigma^2}\right)",
)
def centre(
    images: np.ndarray,
    keys: Sequence[Key],
    parts: Mapping[str, np.ndarray],
    *,
    sd: Annotated[float, "standard deviation, as a share of the image's height and of its width"] = 0.25,
) -> np.ndarray:
    """A Gaussian around the middle of the image, whatever the image shows.

    Args:
        images: uint8 (n, height, width[, 3]).
        keys: one noise key for each image; not used.
        parts: none.
        sd: standard deviation, as a share of the image's height and of its width, above 0.

    Returns:
        Maps (n, 1, height, width) in (0, 1].

    Raises:
        SaltrustError: sd is not above 0.

    >>> centre(np.zeros((1, 3, 3), np.uint8), [(0,)], {})[0, 0, 1].round(2).tolist()
    [0.41, 1.0, 0.41]
    """
    if not sd > 0:
        raise SaltrustError(f"sd is {sd}; it must be above 0")
    grey = luminance(images)
    v, u = (np.exp(-((((np.arange(n) + 0.5) / n - 0.5) / sd) ** 2) / 2) for n in grey.shape[1:])
    return np.broadcast_to(np.outer(v, u), grey[:, None].shape).copy()


@control(
    "constant",
    abbreviation="CONST",
    title="Constant map",
    cite="",
    formula="1",
)
def constant(images: np.ndarray, keys: Sequence[Key], parts: Mapping[str, np.ndarray]) -> np.ndarray:
    """The same everywhere: a map that says nothing.

    Args:
        images: uint8 (n, height, width[, 3]).
        keys: one noise key for each image; not used.
        parts: none.

    Returns:
        Ones (n, 1, height, width).

    >>> constant(np.zeros((1, 1, 2), np.uint8), [(0,)], {}).tolist()
    [[[[1.0, 1.0]]]]
    """
    return np.ones_like(luminance(images)[:, None])


@control(
    "random_field",
    abbreviation="RANDOM",
    title="Random field",
    cite="",
    formula=r"g \ast \varepsilon, \quad \varepsilon \sim \mathcal{N}(0, 1)",
)
def random_field(
    images: np.ndarray,
    keys: Sequence[Key],
    parts: Mapping[str, np.ndarray],
    *,
    length: Annotated[float, "correlation length, as a share of the image's shorter side"] = 0.1,
    seed: Annotated[int, "of the field"] = 0,
) -> np.ndarray:
    """A smooth random map that knows nothing of the image.

    It is normal noise of unit variance, correlated over a distance r as exp(-r^2 / (2 length^2)) everywhere, also at
    the border. The field depends on (seed, key) and the size of the image alone.

    Args:
        images: uint8 (n, height, width[, 3]).
        keys: one tuple of non-negative integers for each image.
        parts: none.
        length: correlation length, as a share of the image's shorter side, above 0.
        seed: of the field.

    Returns:
        Maps (n, 1, height, width), each shifted so that its least value is 0.

    Raises:
        SaltrustError: length is not above 0, or keys are missing.

    >>> field = random_field(np.zeros((1, 8, 8), np.uint8), [(0,)], {})
    >>> field.shape, float(field.min())
    ((1, 1, 8, 8), 0.0)
    """
    if not length > 0:
        raise SaltrustError(f"length is {length}; it must be above 0")
    shape = luminance(images).shape
    check_keys(keys, len(images))
    sd = length * min(shape[1:]) / 2**0.5  # white noise under a Gaussian is correlated over sqrt(2) of its width
    return np.stack([_field(shape[1:], sd, seed, key) for key in keys])[:, None]


def _field(shape: tuple[int, int], sd: float, seed: int, key: Key) -> np.ndarray:
    margin = int(TRUNCATE * sd + 0.5)  # the kernel's reach: no kept pixel sees where the noise ends
    impulse = np.zeros(2 * margin + 1)
    impulse[margin] = 1
    gain = (gaussian_filter(impulse, sd, truncate=TRUNCATE, mode="constant") ** 2).sum()  # of variance, on each axis
    noise = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
    white = noise.standard_normal([side + 2 * margin for side in shape])
    kept = tuple(slice(margin, margin + side) for side in shape)
    field = gaussian_filter(white, sd, truncate=TRUNCATE, mode="constant")[kept] / gain
    return field - field.min()


@control(
    "image",
    abbreviation="IMAGE",
    title="Image intensity",
    cite="",
    formula=r"x \;\; \mathrm{or} \;\; 1 - x",
)
def image(
    images: np.ndarray,
    keys: Sequence[Key],
    parts: Mapping[str, np.ndarray],
    *,
    polarity: Annotated[str, 'which pixels rank high: "bright" ones, or "dark" ones, for a finding such as air'] = (
        "bright"
    ),
) -> np.ndarray:
    """The image itself as a map, or its negative.

    Args:
        images: uint8 (n, height, width[, 3]).
        keys: one noise key for each image; not used.
        parts: none.
        polarity: which pixels rank high: "bright" ones, or "dark" ones, for a finding such as air.

    Returns:
        Maps (n, 1, height, width), grey levels in [0, 1].

    Raises:
        SaltrustError: the polarity is unknown.

    >>> image(np.array([[[0, 255]]], np.uint8), [(0,)], {}, polarity="dark").tolist()
    [[[[1.0, 0.0]]]]
    """
    if polarity not in POLARITIES:
        raise unknown_name("polarity", polarity, POLARITIES)
    grey = luminance(images)[:, None]
    return grey if polarity == "bright" else 1 - grey
