"""How far apart are the maps of a network's outputs for one image? The class distinctiveness of Shu et al."""

from collections.abc import Callable

import numpy as np

from saltrust.core.errors import SaltrustError
from saltrust.core.registry import Registry

PREPARATIONS: Registry[Callable[[np.ndarray], np.ndarray]] = Registry("preparation")
"""What is done to maps (k, n, channels, height, width) before they are compared."""
PREPARATIONS.register("signed")(lambda maps: maps)
PREPARATIONS.register("absolute")(np.abs)
PREPARATIONS.register("positive")(lambda maps: maps.clip(min=0))
PREPARATIONS.register("channel_sum")(lambda maps: maps.sum(axis=2, keepdims=True))


def products(maps: np.ndarray) -> np.ndarray:
    """Inner products of the maps of each two outputs, image by image: all that distances and norms need.

    Args:
        maps: maps (k, n, ...) of k outputs of n images, real numbers, of single precision or less, so that squares
            neither vanish nor overflow in float64.

    Returns:
        An array (n, k, k), float64, in the squared unit of the maps. Row and column of a map are NaN where it holds NaN
        or infinite values; the diagonal is 0 where it is zero everywhere.

    Raises:
        SaltrustError: there are fewer than three axes, no output, or no pixel.

    >>> products(np.array([[[3.0, 4.0]], [[0.0, 2.0]]])).tolist()
    [[[25.0, 8.0], [8.0, 4.0]]]
    """
    maps = np.asarray(maps)
    if maps.ndim < 3 or not len(maps) or not np.prod(maps.shape[2:]):
        raise SaltrustError(f"maps of shape {maps.shape} have no distances: pass (outputs, images, pixels...)")
    flat = maps.reshape(*maps.shape[:2], np.prod(maps.shape[2:])).swapaxes(0, 1).astype(np.float64)
    usable = np.isfinite(flat).all(axis=2)
    flat = np.where(usable[:, :, None], flat, 0.0)
    return np.where(usable[:, :, None] & usable[:, None, :], flat @ flat.swapaxes(1, 2), np.nan)


def distances(products: np.ndarray) -> np.ndarray:
    """Cosine distance 1 - cos(S_i, S_j) between the maps of each two outputs, image by image.

    A map's unit does not count.

    Args:
        products: inner products (n, k, k) of the maps, as from `products`.

    Returns:
        An array (n, k, k), float64, 0 to 2, symmetric, 0 on the diagonal. Row and column of a map are NaN, the diagonal
        too, where the map is zero everywhere or holds NaN or infinite values: it has no direction.

    Source:
        Shu et al. 2024, equation 1.

    >>> maps = np.array([[[1.0, 0.0]], [[0.0, 2.0]], [[-3.0, 0.0]]])
    >>> distances(products(maps))[0].tolist()
    [[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [2.0, 1.0, 0.0]]
    """
    return _from_products(np.asarray(products, dtype=np.float64))


def distinctness(distances: np.ndarray) -> np.ndarray:
    """Distinctness of each output's map: the sum of its distances from the maps of all other outputs.

    Shu et al. read a low one as doubt. As an output without a map has no distance from any other, it leaves all outputs
    of its image without a distinctness.

    Args:
        distances: distances (n, k, k) between k outputs of n images; the diagonal is not read.

    Returns:
        An array (n, k), float64, 0 to 2 (k - 1); NaN where any of the distances is NaN.

    Raises:
        SaltrustError: the array is not (n, k, k), or k is below 2.

    Source:
        Shu et al. 2024, section 2: d_i, the L1 norm of v_i.

    >>> distinctness(np.array([[[0.0, 1.0, 2.0], [1.0, 0.0, 0.5], [2.0, 0.5, 0.0]]])).tolist()
    [[3.0, 1.5, 2.5]]
    """
    distances = _checked(distances)
    return np.where(np.eye(distances.shape[1], dtype=bool), 0.0, distances).sum(axis=2)


def nearest(distances: np.ndarray) -> np.ndarray:
    """The distance of each output's map from the most similar one.

    Args:
        distances: distances (n, k, k) between k outputs of n images; the diagonal is not read.

    Returns:
        An array (n, k), float64, 0 to 2; NaN where any of the distances is NaN.

    Raises:
        SaltrustError: the array is not (n, k, k), or k is below 2.

    Source:
        Ours, as another reading of "similar" in Shu et al. 2024.

    >>> nearest(np.array([[[0.0, 1.0, 2.0], [1.0, 0.0, 0.5], [2.0, 0.5, 0.0]]])).tolist()
    [[1.0, 0.5, 0.5]]
    """
    distances = _checked(distances)
    return np.where(np.eye(distances.shape[1], dtype=bool), np.inf, distances).min(axis=2)


def head_distances(weights: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """Distances of the input-times-gradient maps of a network with a linear head, from its weights and one matrix.

    Logit i is w_i . f, with f (c,) the pooled features. Its map is S_i, the sum over a of w_ia T_a, where
    T_a = x * df_a/dx. So S_i . S_j = w_i' G w_j with G_ab = T_a . T_b: all maps of an image are combinations of one set
    of c maps. Biases do not count: they are in no gradient. With G the identity, what is left is 1 - cos(w_i, w_j), in
    which no image has a part.

    Args:
        weights: weights (k, c) of the head, finite.
        gram: G (n, c, c) of n images, symmetric, positive semidefinite.

    Returns:
        An array (n, k, k), float64, 0 to 2, as of `distances`; NaN in row and column of an output whose map is zero, as
        far as float64 can tell, and everywhere where G holds NaN or infinite values.

    Raises:
        SaltrustError: the shapes do not fit.

    Source:
        Worked out for this project from equation 1 of Shu et al. 2024.

    >>> head_distances(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[[4.0, 1.0], [1.0, 1.0]]]))[0].tolist()
    [[0.0, 0.5], [0.5, 0.0]]
    """
    weights, gram = np.asarray(weights, dtype=np.float64), np.asarray(gram, dtype=np.float64)
    if weights.ndim != 2 or gram.ndim != 3 or not gram.shape[1] == gram.shape[2] == weights.shape[1]:
        raise SaltrustError(
            f"weights of shape {weights.shape} and Gram matrices of shape {gram.shape}: pass (outputs, features) and"
            " (images, features, features)"
        )
    largest = (weights**2).sum(axis=1) * np.trace(gram, axis1=1, axis2=2)[:, None]  # no map has a larger square
    with np.errstate(invalid="ignore"):  # an image whose G holds infinite values
        products = weights @ gram @ weights.T
    return _from_products(products, np.finfo(np.float64).eps * weights.shape[1] * largest)


def _checked(distances: np.ndarray) -> np.ndarray:
    distances = np.asarray(distances, dtype=np.float64)
    if distances.ndim != 3 or distances.shape[1] != distances.shape[2] or distances.shape[1] < 2:
        raise SaltrustError(f"distances of shape {distances.shape}: pass (images, outputs, outputs), 2 outputs or more")
    return distances


def _from_products(products: np.ndarray, nothing: np.ndarray | float = 0.0) -> np.ndarray:
    """Distances (n, k, k) of maps with these inner products; NaN where a square (n, k) is not above `nothing`."""
    squares = np.diagonal(products, axis1=1, axis2=2)
    sizes = np.sqrt(np.where(np.isfinite(squares) & (squares > nothing), squares, np.nan))
    found = 1 - np.clip(products / (sizes[:, :, None] * sizes[:, None, :]), -1, 1)
    found = (found + found.swapaxes(1, 2)) / 2
    return np.where(np.eye(found.shape[1], dtype=bool) & ~np.isnan(found), 0.0, found)
