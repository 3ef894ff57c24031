"""Products of maps equal those of maps made one output at a time; distances know no batches; copies are logits."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from saltrust.artefacts import findings
from saltrust.artefacts.findings import ChangedCopies, Features, MapProducts, Outputs
from saltrust.methods.explained import Explained
from saltrust.methods.registry import METHODS
from saltrust.models.architectures import Stage
from saltrust.models.classifiers import to_input
from saltrust.scores.distinctness import PREPARATIONS, distances, products

SIZE, N, K = 8, 5, 3


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * SIZE * SIZE, K)).eval()


@pytest.fixture
def model(network):
    stages = [Stage("logits", ("3",)), Stage("stem", ("0",))]
    return SimpleNamespace(digest="of several outputs", network=lambda get: network, stages=stages, n_outputs=K,
                           head="3", test=SimpleNamespace(size=SIZE), input_range=(-1.0, 1.0),
                           title=lambda: "a network", part=lambda: "a")  # fmt: skip


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 255, (N, SIZE, SIZE), np.uint8)


def artefact(model, method="input_x_gradient", random=None, **parameters):
    return MapProducts(model, None, method, METHODS[method].complete(parameters), random)


@pytest.mark.parametrize("method", ["input_x_gradient", "lrp", "gradcam"])
def test_products_are_those_of_maps_made_one_output_at_a_time(model, network, pixels, method, monkeypatch):
    monkeypatch.setattr(findings, "SHARD", 2)  # five images in three parts
    found = artefact(model, method).compute(lambda need: SimpleNamespace(pixels=pixels))
    images, keys = to_input(pixels), [(i,) for i in range(N)]
    given = METHODS[method].complete({})
    each = [Explained(network, "logit", k, cam_layer="0") for k in range(K)]  # the one convolution
    maps = [METHODS[method].function(one, images, keys, **given) for one in each]
    assert found.shape == (len(PREPARATIONS), N, K, K)
    for place, prepare in enumerate(PREPARATIONS.values()):
        slow = products(prepare(np.stack([one.numpy() for one in maps])))
        np.testing.assert_allclose(found[place], slow, rtol=1e-4, atol=1e-6 * np.abs(slow).max())  # other batches


def test_noise_belongs_to_the_image_and_not_to_its_place_in_a_part(model, pixels, monkeypatch):
    def computed():
        one = artefact(model, "smoothgrad", samples=3, seed=7)
        return one.compute(lambda need: SimpleNamespace(pixels=pixels))

    whole = computed()
    monkeypatch.setattr(findings, "SHARD", 2)
    np.testing.assert_allclose(computed(), whole, rtol=1e-4)


def test_the_maps_that_are_shown_are_those_that_were_measured(model, pixels):
    one = artefact(model)
    get = lambda need: SimpleNamespace(pixels=pixels)  # noqa: E731
    shown = one.maps_of(get, 3)
    assert shown.shape == (K, 3, SIZE, SIZE)
    signed = one.compute(get)[list(PREPARATIONS).index("signed")]
    np.testing.assert_allclose(products(shown[:, None])[0], signed[3], rtol=1e-5)
    assert not np.allclose(distances(signed)[3], 0)


def test_copies_are_logits_of_changed_images_and_repeatable(model, pixels):
    one = ChangedCopies(model, None, copies=4, seed=3)
    first, again = (one.compute(lambda need: SimpleNamespace(pixels=pixels)) for _ in range(2))
    assert first.shape == (4, N, K)
    np.testing.assert_array_equal(first, again)
    assert (first.std(axis=0) > 0).all()


def test_the_head_makes_the_outputs_of_the_features(model, network, pixels):
    """Oracle: the head's own weights, to single precision."""
    get = lambda need: SimpleNamespace(pixels=pixels)  # noqa: E731
    features, outputs = Features(model, None).compute(get), Outputs(model, None).compute(get)
    head = network[3]
    weight, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
    assert features.shape == (N, 4 * SIZE * SIZE)
    np.testing.assert_allclose(features @ weight.T + bias, outputs, atol=1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(outputs, network(to_input(pixels)).numpy(), atol=1e-5)
