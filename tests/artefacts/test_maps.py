"""Maps explain the output that their target names, and the classifier kept at hand is that of the target."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from saltrust.artefacts.maps import (
    REGIONS,
    SIGNED,
    Randomization,
    RandomizedOutputs,
    RawMaps,
    Regions,
    SaliencyMaps,
    in_state,
)
from saltrust.core.errors import SaltrustError
from saltrust.methods.registry import METHODS, POWERS
from saltrust.methods.xrai import rank_regions, segment
from saltrust.models.architectures import Part, Stage
from saltrust.models.classifiers import to_input
from saltrust.models.randomization import randomize

SIZE = 8


@pytest.fixture
def model():
    """A linear classifier of two outputs, as far as maps ask for one."""
    torch.manual_seed(0)
    first = nn.Conv2d(3, 4, 3, padding=1)
    network = nn.Sequential(first, nn.Flatten(), nn.Linear(4 * SIZE * SIZE, 2)).eval()
    return SimpleNamespace(
        digest="of the test",
        network=lambda get: network,
        stages=[SimpleNamespace(modules=("0",))],
        test=SimpleNamespace(size=SIZE),
        input_range=(-1.0, 1.0),
        n_outputs=2,
    )


@pytest.fixture
def single():
    """A classifier of one output that is above 0 for the first of two images, and below for the second."""
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.Tanh(), nn.Flatten()]
    network = nn.Sequential(*body, nn.Linear(4 * SIZE * SIZE, 1)).eval()
    with torch.no_grad():
        network[-1].bias -= network(to_input(pixels_of_two(), (-1.0, 1.0))).mean()
    stages = [SimpleNamespace(modules=("0",)), SimpleNamespace(modules=("2",))]
    test = SimpleNamespace(size=SIZE)
    return SimpleNamespace(
        digest="of one", network=lambda get: network, stages=stages, test=test, input_range=(-1.0, 1.0), n_outputs=1
    )


def pixels_of_two():
    return np.random.default_rng(0).integers(0, 255, (2, SIZE, SIZE), np.uint8)


def of_single(model, method, scalar="logit", **parameters):
    """Maps of two images from few passes."""
    few = {
        name: n
        for name, n in {"samples": 3, "steps": 3, "window": 0.5, "stride": 0.25}.items()
        if name in METHODS[method].defaults
    }
    return SaliencyMaps(method, METHODS[method].complete(few | parameters), model, None, scalar, 1, None, (0, 1))


def value(artefact):
    """Computed with all that it needs."""
    return SimpleNamespace(pixels=pixels_of_two()) if artefact is None else artefact.compute(value)


def maps(model, scalar="logit", **target):
    pixels = pixels_of_two()
    made = SaliencyMaps(
        method="grad",
        parameters=METHODS["grad"].complete({}),
        model=model,
        randomization=None,
        scalar=scalar,
        cam_min_grid=1,
        data=None,
        images=(0, 1),
        **target,
    )
    return made.compute(lambda data: SimpleNamespace(pixels=pixels)).values


def test_each_output_has_its_maps(model):
    """The gradient of a linear network is the same at every image: what its weights make of the output."""
    network = model.network(None)
    for target in (0, 1, 0):
        inputs = torch.zeros(2, 3, SIZE, SIZE, requires_grad=True)
        network(inputs)[:, target].sum().backward()
        np.testing.assert_allclose(maps(model, target=target), inputs.grad.numpy(), rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(maps(model), maps(model, target=0))


ODD = [name for name, method in METHODS.items() if method.odd]
OF_POWERS = [name for name, method in METHODS.items() if method.powers]


@pytest.mark.parametrize("scalar", SIGNED)
@pytest.mark.parametrize("method", ODD)
def test_maps_of_the_prediction_are_those_of_the_single_output_with_its_sign(single, method, scalar):
    """As if each were computed for itself, bit for bit: with two outputs nothing is taken from elsewhere."""
    short, long = of_single(single, method, scalar), of_single(unshared(single), method, scalar)
    assert (short.powers or short).of_output is not None
    assert (long.powers or long).of_output is None
    found, expected = value(short), value(long)
    np.testing.assert_array_equal(found.values, expected.values)
    assert (found.totals is None) == (expected.totals is None)
    if found.totals is not None:
        np.testing.assert_allclose(found.totals, expected.totals, rtol=1e-6, atol=1e-9)


def test_each_image_has_the_sign_of_its_prediction(single):
    plain, predicted = (value(of_single(single, "grad", scalar)).values for scalar in ("logit", "argmax_logit"))
    np.testing.assert_array_equal(predicted[0], plain[0])
    np.testing.assert_array_equal(predicted[1], -plain[1])
    assert plain.any()


def test_protocols_share_the_maps_that_use_no_layer(single):
    """Guided Grad-CAM uses one, its part by guided backpropagation does not."""

    def made(method, grid):
        return SaliencyMaps(method, METHODS[method].complete({}), single, None, "logit", grid, None, (0, 1))

    assert made("ig", 1) == made("ig", 4)
    assert made("gradcam", 1) != made("gradcam", 4)
    parts = made("guided_gradcam", 1)._parts().values()
    assert {part.method: part for part in parts} == {m: made(m, 1) for m in ("guided_backprop", "gradcam")}
    assert [part.method for part in parts if part.cam_min_grid == 1] == ["gradcam"]


def unshared(model):
    return SimpleNamespace(**vars(model) | {"n_outputs": None, "digest": "by itself"})


@pytest.mark.parametrize("method", OF_POWERS)
def test_both_powers_are_those_of_their_own_passes(single, method):
    for power in POWERS:
        maps = of_single(single, method, power=power)
        assert maps.transient
        explained, given = maps._given(value)
        alone = METHODS[method].function(explained, given, [(0,), (1,)], **maps.parameters)
        np.testing.assert_array_equal(value(maps).values, alone.numpy())
    first, second = (of_single(single, method, power=power).powers for power in POWERS)
    assert first == second


def test_an_output_that_is_not_there_is_refused(model):
    with pytest.raises(SaltrustError, match="target 2 is not among the model's outputs 0 to 1"):
        maps(model, target=2)


def test_outputs_of_a_randomized_classifier_are_those_of_its_drawn_weights(model):
    """Of all test images, by a network whose named stages are random and whose others are as they were."""
    pixels = np.random.default_rng(0).integers(0, 255, (3, SIZE, SIZE), np.uint8)
    model.stages = [Stage("top", ("2",)), Stage("stem", ("0",))]
    network = model.network(None)

    def outputs(stage):
        made = RandomizedOutputs(model, Randomization(stage, "truncated_normal", "reset", seed=1))
        return made.compute(lambda data: SimpleNamespace(pixels=pixels))

    found = {stage: outputs(stage) for stage in ("top", "stem")}
    images = torch.from_numpy(pixels / 127.5 - 1).float().unsqueeze(1).repeat(1, 3, 1, 1)
    for stage, values in found.items():
        drawn = randomize(network, model.stages, stage, "truncated_normal", 1, "reset")
        np.testing.assert_allclose(values, drawn(images).detach().numpy(), rtol=1e-4, atol=1e-6)
    assert found["top"].shape == (3, 2)
    assert not np.allclose(found["top"], found["stem"])
    assert not np.allclose(found["top"], network(images).detach().numpy())


def test_a_stage_of_the_finer_cascade_is_known_as_well(model):
    model.stages = [Stage("whole", ("2", "0"))]
    model.fine_stages = [Part("2", ("2",), of="whole"), Part("0", ("0",), of="whole")]
    trained = model.network(None).state_dict()
    found = {
        stage: in_state(model, Randomization(stage, "truncated_normal", "reset", seed=1), None).state_dict()
        for stage in ("2", "0", "whole")
    }
    assert torch.equal(found["2"]["0.weight"], trained["0.weight"])
    assert not torch.equal(found["0"]["0.weight"], trained["0.weight"])
    for name, value in found["whole"].items():
        assert torch.equal(found["0"][name], value)
    with pytest.raises(SaltrustError, match="unknown stage '3'"):
        in_state(model, Randomization("3", "truncated_normal", "reset", seed=1), None)


def pictures(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.random((n, 48, 48)), (0, 3, 3))
    return np.uint8(255 * (smooth - smooth.min()) / np.ptp(smooth))


def xrai_of(n: int) -> tuple[SaliencyMaps, Callable, dict[str, int]]:
    """XRAI's maps of n images, what the store would give, and how many regions were asked for at most at once."""
    pixels = pictures(n)
    data = SimpleNamespace(size=48, title=lambda: "images", value_bytes=lambda: pixels.nbytes, transient=False)
    maps = SaliencyMaps("xrai", METHODS["xrai"].complete({}), None, None, "logit", 1, data, tuple(range(n)))
    paths = {"black": 1, "white": 2}
    asked = {"most": 0, "in all": 0}

    def get(artefact: object) -> object:
        if artefact is data:
            return SimpleNamespace(pixels=pixels)
        if isinstance(artefact, Regions):
            asked["most"] = max(asked["most"], len(artefact.images))
            asked["in all"] += len(artefact.images)
            return artefact.compute(get)
        seed = paths[artefact.parameters["baseline"]]
        return RawMaps(np.random.default_rng(seed).normal(size=(n, 3, 48, 48)).astype(np.float32))

    return maps, get, asked


def test_xrai_makes_the_maps_of_all_regions_at_once(monkeypatch):
    """Bit for bit what it made when the regions of all images, and their attributions, were stacked."""
    monkeypatch.setattr("saltrust.artefacts.maps.SHARD", 2)
    maps, get, asked = xrai_of(5)
    found = maps.compute(get).values
    assert asked == {"most": 2, "in all": 5}
    parts = [get(part).values.astype(np.float64) for part in maps._parts().values()]
    grey = (sum(parts) / len(parts)).max(1)
    expected = [rank_regions(one, segment(image))[0] for one, image in zip(grey, pictures(5), strict=True)]
    np.testing.assert_array_equal(found, np.stack(expected)[:, None].astype(np.float32))


def test_the_memory_for_regions_does_not_grow_with_the_number_of_images(monkeypatch):
    monkeypatch.setattr("saltrust.artefacts.maps.SHARD", 2)
    monkeypatch.setattr("saltrust.methods.xrai.segment", lambda image: np.eye(48, dtype=bool)[None].repeat(300, axis=0))
    a_shard = 2 * 300 * 48**2
    peaks = []
    for n in (4, 16):
        maps, get, _ = xrai_of(n)
        maps.compute(get)  # what is imported and compiled once
        tracemalloc.start()
        maps.compute(get)
        peaks.append(tracemalloc.get_traced_memory()[1] - n * 48**2 * (2 * 3 * 4 + 3 * 8 + 8 + 4))  # less the maps
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < a_shard / 2  # 12 images more have six times as many regions as a shard
    assert peaks[1] < 16 / 2 * a_shard / 2  # half of all


@pytest.mark.parametrize("n", [8, 32])
def test_what_maps_say_of_their_memory_is_what_they_take(monkeypatch, n):
    """As the allocator counts it, with regions as many as are foreseen: no less than half, and no more."""
    masks = np.eye(48, dtype=bool)[None].repeat(REGIONS, axis=0)
    monkeypatch.setattr("saltrust.methods.xrai.segment", lambda image: masks.copy())
    maps, get, _ = xrai_of(n)
    maps.compute(get)
    tracemalloc.start()
    maps.compute(get)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.4 * maps.memory() < peak < maps.memory()
    grown = replace(maps, images=tuple(range(1000))).memory() - replace(maps, images=tuple(range(100))).memory()
    assert grown == 900 * 48**2 * 4 * 3 * 4  # the maps, twice, and those of two paths: no regions


def test_regions_are_stored_as_they_are(tmp_path):
    data = SimpleNamespace(size=48, title=lambda: "images")
    regions = Regions(data, (1, 0))
    made = regions.compute(lambda one: SimpleNamespace(pixels=pictures(2)))
    regions.write(made, tmp_path)
    for before, after, image in zip(made, regions.read(tmp_path), pictures(2)[::-1], strict=True):
        np.testing.assert_array_equal(before, after)
        np.testing.assert_array_equal(before, segment(image))
