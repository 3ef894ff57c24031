"""Outputs of all coalitions against hiding parts one coalition after the other."""

import numpy as np
import pytest
import torch
from torch import nn

from saltrust.core.errors import SaltrustError
from saltrust.methods.coalitions import MOST, blocks, outputs_of_coalitions
from saltrust.methods.explained import Explained
from saltrust.methods.perturbation import kernel_shap, superpixels
from saltrust.stats.shapley import coalitions, exact, with_dummies


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 3))
    return Explained(network, input_range=(0.0, 1.0), batch_size=7)


@pytest.fixture(scope="module")
def image():
    return torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_each_coalition_is_what_the_network_says_of_its_image(model, image):
    labels = blocks(8, 2)
    players, found = outputs_of_coalitions(model, image, labels)
    assert players.tolist() == [0, 1, 2, 3]
    for who, row in zip(coalitions(4), found, strict=True):
        hidden = image * torch.tensor(who[labels])
        np.testing.assert_allclose(row, model.outputs(hidden)[0], atol=1e-6)


def test_parts_like_the_baseline_are_no_players_and_change_nothing(model, image):
    labels, shown = blocks(8, 4), torch.tensor(np.isin(blocks(8, 4), [1, 6, 11]))
    players, found = outputs_of_coalitions(model, image * shown, labels)
    assert players.tolist() == [1, 6, 11]
    assert found.shape == (8, 3)
    whole = with_dummies(found[:, 2], players, 16)
    for number in (0, 2, 3, 1 << 6, 0b100001000011, 2**16 - 1):
        who = (number >> np.arange(16)) & 1 == 1
        said = model.outputs(image * shown * torch.tensor(who[labels]))[0, 2]
        assert whole[number] == pytest.approx(float(said), abs=1e-6)
    assert np.flatnonzero(exact(whole)).tolist() == [1, 6, 11]


def test_an_image_like_the_baseline_has_one_coalition(model):
    players, found = outputs_of_coalitions(model, torch.zeros(1, 3, 8, 8), blocks(8, 2))
    assert (players.tolist(), found.shape) == ([], (1, 3))


def test_hidden_parts_become_the_baseline_that_is_asked_for(model, image):
    players, found = outputs_of_coalitions(model, image, blocks(8, 2), baseline="white")
    np.testing.assert_allclose(found[0], model.outputs(torch.ones(1, 3, 8, 8))[0], atol=1e-6)


def test_all_coalitions_share_as_kernel_shap_does_with_all_of_them(image):
    torch.manual_seed(3)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 2))
    model = Explained(network, input_range=(0.0, 1.0), target=1)
    labels = superpixels(image[0].permute(1, 2, 0).numpy(), 5)
    _, found = outputs_of_coalitions(model, model.accept(image), labels)
    maps = kernel_shap(model, image, [(0,)], samples=2 ** (labels.max() + 1), segments=5, baseline="black")[0, 0]
    parts = [float(maps[torch.tensor(labels == part)].sum()) for part in range(labels.max() + 1)]
    assert len(parts) > 2
    np.testing.assert_allclose(parts, exact(found[:, 1]), atol=1e-5)


def test_blocks_that_do_not_divide_the_image_are_refused():
    for size, per_side in ((8, 3), (8, 0), (4, 8)):
        with pytest.raises(SaltrustError, match=f"{size} pixels are not {per_side} equal blocks"):
            blocks(size, per_side)


def test_more_parts_than_can_be_tried_are_refused(model, image):
    with pytest.raises(SaltrustError, match=f"64 parts has 2\\^64 coalitions; 2\\^{MOST} at most"):
        outputs_of_coalitions(model, image, blocks(8, 8))
