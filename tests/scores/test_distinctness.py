"""Distances between the maps of a network's outputs: scipy, autograd, and what a linear head must give."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from saltrust.core.errors import SaltrustError
from saltrust.scores.distinctness import distances, distinctness, head_distances, nearest, products


def test_distances_are_those_of_scipy():
    """Oracle: scipy's cosine distance, to 1e-12."""
    maps = np.random.default_rng(0).normal(size=(4, 3, 2, 5, 6))
    found = distances(products(maps))
    for i in range(3):
        flat = maps[:, i].reshape(4, -1)
        np.testing.assert_allclose(found[i], cdist(flat, flat, "cosine"), atol=1e-12)
    assert found.dtype == np.float64
    assert (found == found.swapaxes(1, 2)).all()
    assert (np.diagonal(found, axis1=1, axis2=2) == 0).all()


@given(st.integers(0, 10**6), st.sampled_from([1e-30, 1.0, 1e30]))
def test_a_positive_unit_does_not_count_and_a_sign_turns_a_map_around(seed, unit):
    maps = np.random.default_rng(seed).normal(size=(3, 1, 7))
    found = distances(products(maps))[0]
    changed = maps * np.array([unit, 1, -1])[:, None, None]
    other = distances(products(changed))[0]
    np.testing.assert_allclose(other[0, 1], found[0, 1], atol=1e-12)
    np.testing.assert_allclose(other[:2, 2], 2 - found[:2, 2], atol=1e-12)
    assert ((found >= 0) & (found <= 2)).all()


def test_sums_are_in_float64():
    """A long float32 map: the float64 distance to 1e-12, which float32 sums miss by about 1e-7."""
    maps = np.random.default_rng(1).uniform(1, 1.001, (2, 1, 200_000)).astype(np.float32)
    first, second = maps[:, 0].astype(np.float64)
    expected = 1 - first @ second / np.sqrt((first @ first) * (second @ second))
    assert distances(products(maps))[0, 0, 1] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("hole", [np.nan, np.inf, 0.0])
def test_a_map_without_a_direction_has_no_distance(hole):
    maps = np.random.default_rng(0).normal(size=(3, 2, 4, 4))
    if hole == 0:
        maps[1, 0] = 0
    else:
        maps[1, 0, 2, 2] = hole
    found = distances(products(maps))
    undefined = np.zeros((2, 3, 3), bool)
    undefined[0, 1, :] = undefined[0, :, 1] = True
    assert (np.isnan(found) == undefined).all()
    assert (np.isnan(distinctness(found)) == [[True] * 3, [False] * 3]).all()


def test_a_constant_map_that_is_not_zero_has_a_direction():
    assert distances(products(np.array([[[1.0, 1.0]], [[5.0, 5.0]]])))[0, 0, 1] == pytest.approx(0, abs=1e-15)


def test_no_image_has_no_distances():
    assert distances(products(np.zeros((3, 0, 4)))).shape == (0, 3, 3)


def test_distinctness_is_the_sum_over_the_others():
    table = np.random.default_rng(0).uniform(0, 2, (5, 4, 4))
    slow = [[sum(image[i, j] for j in range(4) if j != i) for i in range(4)] for image in table]
    np.testing.assert_allclose(distinctness(table), slow, atol=1e-12)


@pytest.mark.parametrize("network", ["without biases", "with biases"])
def test_the_maps_of_a_linear_head_are_combinations_of_one_set(network):
    """Oracle: autograd, to 1e-5 in float32: input times the gradient of each logit of a ReLU network with global
    average pooling. Biases of the convolutions and the head are in no gradient."""
    torch.manual_seed(0)
    bias = network == "with biases"
    layers = [torch.nn.Conv2d(2, 6, 3, padding=1, bias=bias), torch.nn.ReLU(), torch.nn.Conv2d(6, 5, 3, bias=bias)]
    body = torch.nn.Sequential(*layers, torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    head = torch.nn.Linear(5, 4, bias=bias)
    pixels = torch.randn(3, 2, 9, 9, requires_grad=True)

    def gradients(outputs):
        return torch.stack([torch.autograd.grad(one.sum(), pixels, retain_graph=True)[0] for one in outputs.T])

    features = body(pixels)
    maps = (pixels * gradients(head(features))).detach().numpy()
    parts = (pixels * gradients(features)).detach().flatten(2).double()
    gram = torch.einsum("anp,bnp->nab", parts, parts).numpy()
    found = head_distances(head.weight.detach().numpy(), gram)
    np.testing.assert_allclose(found, distances(products(maps)), atol=1e-5)
    assert found[:, 0, 1].std() > 1e-3  # images differ
    if not bias:  # each map then explains its logit
        np.testing.assert_allclose(maps.sum(axis=(2, 3, 4)).T, head(features).detach(), atol=1e-5)


def test_a_gram_matrix_of_the_identity_leaves_the_angles_of_the_head():
    weights = np.random.default_rng(0).normal(size=(5, 8))
    np.testing.assert_allclose(
        head_distances(weights, np.eye(8)[None])[0], cdist(weights, weights, "cosine"), atol=1e-12
    )


def test_an_output_whose_map_cancels_has_no_distance():
    """Two features with opposite maps, and an output that adds them: its map is zero up to rounding."""
    part = np.random.default_rng(0).normal(size=20)
    parts = np.stack([part, -3 * part, np.random.default_rng(1).normal(size=20)])
    weights = np.array([[0.3, 0.1, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    found = head_distances(weights, (parts @ parts.T)[None])[0]
    undefined = np.zeros((3, 3), bool)
    undefined[0] = undefined[:, 0] = True
    assert (np.isnan(found) == undefined).all()
    gone = head_distances(weights, np.stack([np.zeros((3, 3)), np.full((3, 3), np.nan), np.full((3, 3), np.inf)]))
    assert np.isnan(gone).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: products(np.ones((2, 3))), "have no distances"),
        (lambda: products(np.ones((2, 3, 0))), "have no distances"),
        (lambda: products(np.ones((0, 3, 2))), "have no distances"),
        (lambda: distinctness(np.zeros((2, 1, 1))), "2 outputs or more"),
        (lambda: distinctness(np.zeros((2, 3, 2))), "pass .images, outputs, outputs."),
        (lambda: head_distances(np.ones((2, 3)), np.ones((1, 2, 2))), "pass .outputs, features."),
    ],
)
def test_what_has_no_distance_is_refused(call, message):
    with pytest.raises(SaltrustError, match=message):
        call()


def test_the_nearest_map_is_the_most_alike():
    maps = np.random.default_rng(2).normal(size=(5, 6, 9))
    apart = distances(products(maps))
    for i, j in np.ndindex(6, 5):
        assert nearest(apart)[i, j] == min(np.delete(apart[i, j], j))
    apart[2, 1, 3] = apart[2, 3, 1] = np.nan
    assert np.isnan(nearest(apart)).sum() == 2
