"""What networks take, counted without computing: against counts by hand and real passes."""

import pytest
import torch
from torch import nn

from saltrust.core.profiles import PROFILES
from saltrust.models.architectures import ARCHITECTURES
from saltrust.models.memory import COPIES, IN_PASSING, footprint, of_classifier, of_localizer
from saltrust.models.recipes import localizer_plan


def test_a_small_network_by_hand():
    """The first convolution keeps the image, the second what comes to it, a ReLU what it returns: 4 bytes a number."""
    with torch.device("meta"):
        network = nn.Sequential(nn.Conv2d(3, 5, 1), nn.ReLU(), nn.Conv2d(5, 2, 1), nn.Flatten())
    found = footprint(network, network, 6)
    assert found.image == 36 * 4 * (3 + 5)
    assert found.weights == 4 * (3 * 5 + 5 + 5 * 2 + 2)
    assert found.training(7) == COPIES * found.weights + IN_PASSING * 7 * found.image


@pytest.mark.parametrize("architecture", ["inception_v3", "densenet121", "densenet169", "resnet34"])
def test_a_pass_keeps_as_much_as_is_foreseen(architecture):
    """A real pass, whose graph is walked: every tensor that a step of the way back holds, each storage once."""
    size = 96
    network = ARCHITECTURES[architecture].builder(1).train()
    weights = {weight.untyped_storage().data_ptr() for weight in network.state_dict().values()}

    def held(n: int) -> int:
        output = network(torch.zeros(n, 3, size, size))
        storages, seen, pending = {}, set(), [output.grad_fn]
        while pending:
            step = pending.pop()
            if step is None or step in seen:
                continue
            seen.add(step)
            pending += [before for before, _ in step.next_functions]
            for name in dir(step):
                tensor = getattr(step, name) if name.startswith("_saved_") else None
                for one in tensor if isinstance(tensor, tuple | list) else (tensor,):
                    if isinstance(one, torch.Tensor):
                        storages[one.untyped_storage().data_ptr()] = one.untyped_storage().nbytes()
        return sum(size for place, size in storages.items() if place not in weights)

    assert of_classifier(architecture, 1, size).image == pytest.approx((held(4) - held(2)) / 2, rel=0.05)


def test_what_the_paper_s_sizes_take_can_be_had():
    """At 320 pixels, batches of 32, 64 and 4: tens of gigabytes at most, and more than in quick."""
    full, quick = PROFILES["full"], PROFILES["quick"]

    def training(profile, name):
        plan = localizer_plan(name, profile.localizers[name], 0, profile, False)
        return of_localizer(name, plan, profile.size).training(plan.batch_size)

    for name in ("unet", "retinanet"):
        assert training(quick, name) < training(full, name) < 10e9
    for name, sizes in full.architectures.items():
        assert 1e9 < of_classifier(name, 1, full.size).training(sizes.batch_size) < 35e9
