"""FastCAM and Poly-CAM against slow derivations in numpy: one channel, and one pass, at a time."""

from math import erf, sqrt

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.multiscale import _refine, smoe_scale
from saltrust.methods.registry import METHODS

EXACT = {"rtol": 0, "atol": 1e-10}
KEYS = [(i,) for i in range(3)]
SHAPE = (18, 21)


def network(inplace=False, channels=3):
    """Three scales, of 16 x 19, 7 x 9 and 3 x 4 positions, which end in layers 1, 4 and 6."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            *(nn.Conv2d(channels, 5, 3), nn.ReLU(inplace)),
            *(nn.MaxPool2d(2), nn.Conv2d(5, 4, 3, padding=(0, 1)), nn.ReLU(inplace)),
            *(nn.Conv2d(4, 6, 3, stride=2, padding=(1, 0)), nn.ReLU(inplace)),
            *(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 3)),
        ).double()


ENDS = "1, 4, 6"


def images(n=3, channels=3):
    return torch.rand(n, channels, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 2 - 1


def maps_of(name, model, x=None, **parameters):
    x = images() if x is None else x
    return METHODS[name].function(model, x, KEYS[: len(x)], **parameters)


def resized(grid, shape):
    """Bilinear, between the centres of the positions: one output pixel at a time."""
    out = np.zeros(shape)
    for i, j in np.ndindex(*shape):
        y = min(max((i + 0.5) * grid.shape[0] / shape[0] - 0.5, 0), grid.shape[0] - 1)
        x = min(max((j + 0.5) * grid.shape[1] / shape[1] - 0.5, 0), grid.shape[1] - 1)
        top, left = int(y), int(x)
        bottom, right = min(top + 1, grid.shape[0] - 1), min(left + 1, grid.shape[1] - 1)
        upper = (1 - x + left) * grid[top, left] + (x - left) * grid[top, right]
        lower = (1 - x + left) * grid[bottom, left] + (x - left) * grid[bottom, right]
        out[i, j] = (1 - y + top) * upper + (y - top) * lower
    return out


def layers_of(model, image, layers=(1, 4, 6)):
    """Outputs (c, rows, columns) of some layers of the sequential network."""
    with torch.no_grad():
        return [model[: layer + 1](image[None])[0].numpy() for layer in layers]


def slow_fastcam(model, image, weights):
    total = np.zeros(SHAPE)
    for weight, features in zip(weights, layers_of(model, image), strict=True):
        scale = np.zeros(features.shape[1:])
        for position in np.ndindex(*scale.shape):
            a = np.maximum(features[(slice(None), *position)], 0) + 1e-7
            scale[position] = a.mean() * np.log2(a.mean() / np.exp(np.log(a).mean()))
        z = (scale - scale.mean()) / scale.std(ddof=1)
        total += weight * resized(np.vectorize(lambda v: 0.5 * (1 + erf(v / sqrt(2))))(z), SHAPE)
    return total / sum(weights)


def test_fastcam_equals_a_loop_over_positions():
    """Three scales take the first, third and fifth weight of the authors' five."""
    expected = np.stack([slow_fastcam(network(), image, (0.18, 0.37, 0.72)) for image in images()])
    maps = maps_of("fastcam", Explained(network(), batch_size=2), cam="none")
    torch.testing.assert_close(maps[:, 0], torch.as_tensor(expected), **EXACT)
    assert (maps.amax((1, 2, 3)) - maps.amin((1, 2, 3)) > 0.5).all()


@pytest.mark.parametrize("cam", ["gradcam", "gradcam_pp"])
def test_fastcam_times_a_class_activation_map(cam):
    model = Explained(network(), target=2)
    factor = maps_of(cam, model)
    low, high = factor.amin((1, 2, 3), True), factor.amax((1, 2, 3), True)
    expected = maps_of("fastcam", model, cam="none") * (factor - low) / (high - low)
    torch.testing.assert_close(maps_of("fastcam", model, cam=cam), expected, **EXACT)
    assert METHODS["fastcam"].passes({"cam": cam}) == METHODS["fastcam"].passes({"cam": "none"}) + 1 == 2


def test_fastcam_is_blind_to_the_class_unless_multiplied():
    first, second = (Explained(network(), target=target) for target in (0, 1))
    assert torch.equal(maps_of("fastcam", first, cam="none"), maps_of("fastcam", second, cam="none"))
    assert not torch.allclose(maps_of("fastcam", first), maps_of("fastcam", second))


def test_a_layer_that_does_not_vary_counts_half():
    model = network()
    with torch.no_grad():
        model[0].weight.zero_()
    maps = maps_of("fastcam", Explained(model), layers="1", cam="none")
    torch.testing.assert_close(maps, torch.full((3, 1, *SHAPE), 0.5, dtype=torch.float64))


@given(st.integers(0, 10**6), st.integers(1, 20), st.floats(0.1, 100))
def test_smoe_scale(seed, channels, factor):
    """Not negative, 0 where all channels agree, the same for any order of channels, in units of the activations."""
    random = np.random.default_rng(seed)
    features = torch.as_tensor(random.random((1, channels, 3, 4)) + 0.01)
    scale = smoe_scale(features)
    assert scale.shape == (1, 1, 3, 4)
    assert scale.min() > -1e-12
    torch.testing.assert_close(smoe_scale(features.mean(1, keepdim=True).expand_as(features)), 0 * scale, **EXACT)
    torch.testing.assert_close(smoe_scale(features[:, torch.as_tensor(random.permutation(channels))]), scale, **EXACT)
    torch.testing.assert_close(smoe_scale(factor * features), factor * scale, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(smoe_scale(-features), 0 * scale, **EXACT)


def slow_polycam(model, image, output, variant, empty):
    """The authors' algorithm (aenglebert/polycam), with what the docstring says is different."""

    def score(x):
        with torch.no_grad():
            return float(model(torch.as_tensor(x)[None])[0, output])

    x = image.numpy()
    refined = None
    for features in reversed(layers_of(model, image)):
        layer_map = np.zeros(features.shape[1:])
        for channel in features:
            low, high = np.percentile(channel, 0.1), np.percentile(channel, 99.9)
            mask = np.clip((channel - low) / (high - low), 0, 1) if high > low else np.zeros_like(channel)
            mask = resized(mask, SHAPE)
            kept = score(empty + mask * (x - empty)) - score(np.full_like(x, empty))
            removed = score(x) - score(empty + (1 - mask) * (x - empty))
            weight = {"plus": kept, "minus": removed, "plus_minus": kept + removed}[variant]
            layer_map += max(weight, 0) * channel
        if refined is not None:
            means = np.zeros(refined.shape)
            for i, j in np.ndindex(*means.shape):
                ends = [
                    slice(k * fine // coarse, -(-(k + 1) * fine // coarse))
                    for k, fine, coarse in zip((i, j), layer_map.shape, means.shape, strict=True)
                ]
                means[i, j] = layer_map[tuple(ends)].mean()
            local = resized(means, layer_map.shape)
            layer_map = layer_map / np.maximum(local, 1e-300) * resized(refined, layer_map.shape)
        refined = layer_map
    return resized(refined, SHAPE)


def increasing(model):
    """With positive weights behind a positive first layer, what a channel sees raises the confidence."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    return model


@pytest.mark.parametrize("variant", ["plus", "minus", "plus_minus"])
def test_polycam_equals_a_loop_over_channels(variant):
    x = images(2)
    expected = np.stack([slow_polycam(increasing(network()), one, 1, variant, 0.0) for one in x])
    assert (expected.max((1, 2)) > 1e-2).all()
    for batch_size in (2, 32):
        model = Explained(increasing(network()), target=1, batch_size=batch_size)
        maps = maps_of("polycam", model, x, variant=variant)
        np.testing.assert_allclose(maps[:, 0].numpy(), expected, rtol=0, atol=1e-10 * expected.max())


def test_polycam_fades_to_its_baseline():
    x = images(1)
    expected = slow_polycam(increasing(network()), x[0], 0, "minus", -1.0)
    maps = maps_of("polycam", Explained(increasing(network())), x, variant="minus", baseline="black")
    np.testing.assert_allclose(maps[0, 0].numpy(), expected, rtol=0, atol=1e-10 * expected.max())


def test_rounding_is_no_evidence():
    """Seen through the masks of its first layer, this image gives the score of the baseline but for rounding."""
    maps = maps_of("polycam", Explained(increasing(network())), images(1), variant="plus", baseline="black")
    assert not maps.any()


def test_a_constant_added_to_the_logits_changes_no_polycam():
    shifted = increasing(network())
    with torch.no_grad():
        shifted[-1].bias += 100
    plain = maps_of("polycam", Explained(increasing(network())), variant="plus")
    moved = maps_of("polycam", Explained(shifted), variant="plus")
    torch.testing.assert_close(moved, plain, rtol=0, atol=1e-9 * float(plain.max()))


def test_polycam_without_evidence_is_empty():
    """The negated logit: every channel that raises the one lowers the other."""
    model = increasing(network())
    with torch.no_grad():
        model[-1].weight.neg_()
    assert not maps_of("polycam", Explained(model), images() * 0 + 0.5).any()


def count_images(model):
    """Images that pass through a sequential network whose copies share this list."""
    seen = []

    class Counter(nn.Module):
        def forward(self, x):
            seen.append(len(x))
            return x

        def __deepcopy__(self, memo):
            return self

    return nn.Sequential(Counter(), *model), seen


@pytest.mark.parametrize(
    ("variant", "channels", "runs"), [("plus", None, 15), ("plus_minus", None, 30), ("minus", 2, 6)]
)
def test_polycam_runs_once_or_twice_per_channel_in_batches(variant, channels, runs):
    """Beyond that: the image for its scales and its features, and the image and the baseline for their scores."""
    model, seen = count_images(network())
    maps_of("polycam", Explained(model, batch_size=4), images(1), variant=variant, channels=channels)
    assert sum(seen) == runs + 4
    assert max(seen) <= 4
    assert METHODS["polycam"].passes() == 0  # it depends on the network


def test_the_most_active_channels_are_kept():
    """With all of them it is the whole map; with one, that of a network whose other channels are unseen."""
    model = Explained(increasing(network()))
    everything = maps_of("polycam", model)
    torch.testing.assert_close(maps_of("polycam", model, channels=6), everything, **EXACT)
    one = maps_of("polycam", model, images(1), channels=1, layers="6")
    features = layers_of(increasing(network()), images(1)[0])[-1]
    most = torch.as_tensor(features[features.mean((1, 2)).argmax()])[None, None]
    expected = nn.functional.interpolate(most, SHAPE, mode="bilinear")
    torch.testing.assert_close(one / one.max(), expected / expected.max(), **EXACT)


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(2, 6), st.integers(1, 3))
def test_refining_keeps_where_the_coarse_map_is_and_halves_as_the_authors_do(seed, rows, columns, factor):
    random = np.random.default_rng(seed)
    coarse = torch.as_tensor(random.random((1, 1, rows, columns)))
    fine = torch.as_tensor(random.random((1, 1, rows * factor + factor - 1, columns * factor)))
    fine = fine * (fine > 0.5)
    refined = _refine(coarse, fine)
    assert refined.isfinite().all()
    assert refined.max() <= 16 * fine.shape[2] * fine.shape[3]  # a share of its own neighbourhood, never over 0
    assert torch.equal(refined > 0, fine > 0)
    torch.testing.assert_close(
        _refine(coarse, torch.ones_like(fine)), nn.functional.interpolate(coarse, fine.shape[2:], mode="bilinear")
    )
    double = torch.as_tensor(random.random((1, 1, 2 * rows, 2 * columns)))
    bilinear = nn.functional.interpolate(double, (rows, columns), mode="bilinear")
    theirs = double / nn.functional.interpolate(bilinear, double.shape[2:], mode="bilinear")
    theirs = theirs * nn.functional.interpolate(coarse, double.shape[2:], mode="bilinear")
    torch.testing.assert_close(_refine(coarse, double), theirs, **EXACT)


@pytest.mark.parametrize("name", ["fastcam", "polycam"])
@pytest.mark.parametrize("scalar", ["logit", "probability", "argmax_logit"])
def test_a_map_depends_on_its_image_alone(name, scalar):
    whole = maps_of(name, Explained(increasing(network()), scalar, batch_size=32))
    assert whole.shape == (3, 1, *SHAPE)
    assert whole.amin() >= 0
    cut = maps_of(name, Explained(increasing(network(inplace=True)), scalar, batch_size=2), images().flip(0)).flip(0)
    torch.testing.assert_close(cut, whole, **EXACT)


@pytest.mark.parametrize("name", ["fastcam", "polycam"])
def test_layers_can_be_named(name):
    model = Explained(increasing(network()))
    torch.testing.assert_close(maps_of(name, model, layers=ENDS), maps_of(name, model), **EXACT)
    torch.testing.assert_close(maps_of(name, model, layers="1,4,4,6"), maps_of(name, model), **EXACT)
    assert not torch.allclose(maps_of(name, model, layers="3,5"), maps_of(name, model))
    with pytest.raises(SaltrustError, match=r"unknown module of the model '44'"):
        maps_of(name, model, layers="1,44")
    with pytest.raises(SaltrustError, match=r"module '9' returns shape \(.*, 3\) .*at least 2 x 2 positions"):
        maps_of(name, model, layers="1,9")


@pytest.mark.parametrize("name", ["fastcam", "polycam"])
def test_one_channel_in_single_precision(name):
    x = images(channels=1)
    double = maps_of(name, Explained(increasing(network(channels=1))), x)
    single = maps_of(name, Explained(increasing(network(channels=1)).float()), x.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=0, atol=1e-4 * float(double.max()))


def test_refusals():
    model = Explained(network())
    with pytest.raises(SaltrustError, match="channels is 0; at least 1 per layer"):
        maps_of("polycam", model, channels=0)
    with pytest.raises(SaltrustError, match="unknown variant of Poly-CAM 'plusminus'; did you mean 'plus_minus'"):
        maps_of("polycam", model, variant="plusminus")
    with pytest.raises(SaltrustError, match="unknown class activation map 'grad-cam'; did you mean 'gradcam'"):
        maps_of("fastcam", model, cam="grad-cam")
    with pytest.raises(SaltrustError, match="images range from"):
        maps_of("polycam", model, images() * 2)
