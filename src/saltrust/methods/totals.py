"""What the maps of a complete method add up to: the change of the explained scalar from a baseline to the image."""

from collections.abc import Sequence

from torch import Tensor

from saltrust.methods.explained import Explained
from saltrust.methods.path_integrals import baseline_set, starts


def difference(model: Explained, images: Tensor, baselines: Sequence[Tensor]) -> Tensor:
    """f(image) - f(baseline), averaged over the baselines: what a complete map adds up to.

    Args:
        model: the network.
        images: (n, channels, height, width), as accepted by the model.
        baselines: tensors that broadcast to the images.

    Returns:
        A tensor (n,), in units of the explained scalar.

    Source:
        Sundararajan et al. 2017, proposition 1.

    >>> from torch import nn, ones
    >>> model = Explained(nn.Sequential(nn.AvgPool2d(2), nn.Flatten()))
    >>> difference(model, ones(1, 1, 2, 2), [0 * ones(1, 1, 1, 1)]).tolist()
    [1.0]
    """
    selection = model.select(images)
    at_baselines = [model.scalars(baseline.expand_as(images), selection) for baseline in baselines]
    return model.scalars(images, selection) - sum(at_baselines) / len(at_baselines)


def from_baseline(model: Explained, images: Tensor, baseline: str | Tensor, **_: object) -> Tensor:
    """The total of a method that compares the image with one baseline.

    Args:
        model: the network.
        images: (n, channels, height, width), as accepted by the model.
        baseline: as in `integrated_gradients`.

    Returns:
        A tensor (n,), in units of the explained scalar.

    >>> from torch import nn, ones
    >>> model = Explained(nn.Sequential(nn.AvgPool2d(2), nn.Flatten()))
    >>> from_baseline(model, ones(1, 1, 2, 2), "black").tolist()
    [2.0]
    """
    return difference(model, images, starts(baseline, images, *model.input_range))


def from_baseline_set(
    model: Explained, images: Tensor, distribution: str, references: int, seed: int, **_: object
) -> Tensor:
    """The total of a method that compares the image with a set of baselines.

    Args:
        model: the network.
        images: (n, channels, height, width), as accepted by the model.
        distribution: the set of baselines, a name in DISTRIBUTIONS.
        references: number of baselines, at least 1.
        seed: of baselines that are drawn at random.

    Returns:
        A tensor (n,), in units of the explained scalar.

    >>> from torch import nn, ones
    >>> model = Explained(nn.Sequential(nn.AvgPool2d(2), nn.Flatten()))
    >>> from_baseline_set(model, ones(1, 1, 2, 2), "greys", references=3, seed=0).tolist()
    [1.0]
    """
    return difference(model, images, baseline_set(distribution, images, references, seed, *model.input_range))
