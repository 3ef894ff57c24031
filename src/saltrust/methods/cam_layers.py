"""Which layers of a network a class activation map can be made of."""

from collections.abc import Sequence

import torch
from torch import Tensor

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.network_runs import is_map

NEW_SCALE = 0.75  # of the first grid of a scale: below it, a new scale begins
MIN_GRID = 2  # positions along each side: one position sees no place


def feature_maps(model: Explained, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Outputs of some layers, from forward runs alone.

    Args:
        model: the network.
        images: (n, channels, height, width), as accepted by the model.
        layers: dotted paths of modules.

    Returns:
        Path -> map (n, c, rows, columns).

    Raises:
        SaltrustError: a layer does not exist, or returns no map of at least 2 x 2 positions.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.AvgPool2d(2), torch.nn.Flatten())
    >>> feature_maps(Explained(network), torch.ones(1, 1, 4, 4), ["0"])["0"].shape
    torch.Size([1, 1, 2, 2])
    """
    features = model.features(images, layers)
    for layer, output in features.items():
        if not is_map(output, images) or min(output.shape[2:]) < MIN_GRID:
            raise SaltrustError(
                f"module '{layer}' returns shape {tuple(output.shape)} for images of {tuple(images.shape[2:])} pixels; "
                "a map (n, c, rows, columns) with at least 2 x 2 positions is needed"
            )
    return features


def scale_ends(model: Explained, images: Tensor) -> list[str]:
    """The last block of each scale of resolution, from the finest to the coarsest, for images of this size.

    A scale begins where the grid falls below 0.75 of the first grid of the scale before it. Blocks of pooling or
    dropout are passed over, as are grids below 2 x 2 and those that grow again.

    Args:
        model: the network.
        images: (n, channels, height, width), as accepted by the model; the first one is run.

    Returns:
        Dotted paths of blocks.

    Raises:
        SaltrustError: no block returns a map.

    >>> layers = torch.nn.Conv2d(1, 1, 1), torch.nn.Conv2d(1, 1, 2, 2), torch.nn.AvgPool2d(4), torch.nn.Flatten()
    >>> scale_ends(Explained(torch.nn.Sequential(*layers)), torch.zeros(1, 1, 8, 8))
    ['0', '1']
    """
    ends: list[str] = []
    first = last = float("inf")
    for block, (rows, columns) in model.block_grids(images[:1]).items():
        side = (rows * columns) ** 0.5
        if min(rows, columns) < MIN_GRID or side > last:
            continue
        if not ends or side < NEW_SCALE * first:
            ends.append(block)
            first = side
        ends[-1], last = block, side
    if not ends:
        blocks = model.blocks
        names = blocks if len(blocks) <= 6 else [*blocks[:3], "…", *blocks[-2:]]
        raise SaltrustError(
            f"no block of the model ({', '.join(names)}) returns a map of 2 x 2 positions or more for images of "
            f"{tuple(images.shape[2:])} pixels: name a layer inside a block"
        )
    return ends


def layer_of(model: Explained, images: Tensor, layer: str | None) -> str:
    """The layer of a class activation map: the one that is named, else the model's cam_layer, else the end of its
    coarsest scale.

    Args:
        model: the network.
        images: (n, channels, height, width), as accepted by the model.
        layer: dotted path of a module, or None.

    >>> layers = torch.nn.Conv2d(1, 1, 1), torch.nn.Conv2d(1, 1, 2, 2), torch.nn.AvgPool2d(4), torch.nn.Flatten()
    >>> layer_of(Explained(torch.nn.Sequential(*layers)), torch.zeros(1, 1, 8, 8), None)
    '1'
    """
    return layer or model.cam_layer or scale_ends(model, images)[-1]


def choose_cam_layer(model: torch.nn.Module, candidates: Sequence[str], size: int, min_grid: int) -> str | None:
    """The deepest layer whose map is still fine enough for images of a size.

    Args:
        model: maps images (n, 3, size, size) to outputs (n, n_outputs).
        candidates: dotted paths of modules from the output of the network downward; those that return no spatial map
            are passed over.
        size: side of the images in pixels.
        min_grid: fewest positions along a side of the map.

    Returns:
        A path, or None where no candidate returns a map (a transformer).

    Raises:
        SaltrustError: no map is fine enough.

    >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.AvgPool2d(4), torch.nn.Flatten())
    >>> choose_cam_layer(network, ["1", "0"], size=8, min_grid=4)
    '0'
    """
    explained = Explained(model)
    image = torch.zeros(1, 3, size, size, device=explained.device, dtype=explained.dtype)
    candidates = [layer for layer in candidates if not layer.endswith(".")]  # a module without what is in it
    grids = {layer: min(grid) for layer, grid in explained.grids(candidates, image).items()}
    if not grids:
        return None
    for layer, grid in grids.items():
        if grid >= min_grid:
            return layer
    raise SaltrustError(
        f"no layer has a grid of {min_grid} x {min_grid} for images of {size} pixels; "
        f"grids: {', '.join(f'{layer} {grid}' for layer, grid in grids.items())}"
    )
