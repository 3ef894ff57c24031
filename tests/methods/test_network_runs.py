"""The images are the caller's, and so is the network: whatever a network does as it runs, maps are those of a network
that does the same arithmetic and leaves no trace."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.network_runs import captured_outputs, spare_images
from saltrust.methods.registry import METHODS
from saltrust.models.torchvision_compat import torchvision  # noqa: F401  before the libraries, which import it too

FEW = {"steps": 2, "samples": 2, "segments": 4, "references": 2, "channels": 2, "window": 0.5, "stride": 0.5}
ON_MODEL = [name for name, method in METHODS.items() if not method.is_composition]
KEYS = [(0, 0), (0, 1)]
Normalize = Callable[[Tensor, Tensor, Tensor], Tensor]


def images(n: int = 2) -> Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(1))


class Net(nn.Module):
    """Modules alone, for the libraries, behind a normalization that is handed in."""

    def __init__(self, normalize: Normalize):
        super().__init__()
        self.normalize = normalize
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.2, 0.25, 0.3]).view(1, 3, 1, 1))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.conv, self.bn, self.relu = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU()
            self.features, self.relu2 = nn.Conv2d(6, 5, 3, padding=1), nn.ReLU()
            self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn(self.conv(self.normalize(x, self.mean, self.std))))
        return self.head(self.pool(self.relu2(self.features(x))).view(-1, 5))


def out_of_place(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return (x - mean) / std


def in_place(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return x.sub_(mean).div_(std)


def through_views(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    for channel in range(3):
        x[:, channel].sub_(mean[0, channel]).div_(std[0, channel])
    return x


def by_assignment(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    x[...] = (x - mean) / std
    return x


def and_then_spoils_it(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    normalized = (x - mean) / std
    with torch.no_grad():
        x.zero_()
    return normalized


def explained(normalize: Normalize, scalar: str) -> Explained:
    return Explained(Net(normalize), scalar, target=1, cam_layer="features", input_range=(0.0, 1.0))


@pytest.mark.parametrize("name", ON_MODEL)
def test_a_network_that_normalizes_in_place_has_the_same_maps(name):
    """Bit for bit, and also where what is explained is the prediction, which runs the network once more."""
    method = METHODS[name]
    few = {key: FEW[key] for key in method.defaults if key in FEW}
    for scalar in ("logit", "argmax_logit"):
        maps, given = [], images()
        for normalize in (out_of_place, in_place):
            try:
                maps.append(method.function(explained(normalize, scalar), given, KEYS, **few))
            except SaltrustError as error:
                maps.append(str(error))
        if isinstance(maps[0], str):
            assert maps[0] == maps[1]
            assert "captum" in maps[0]  # its LRP has no rule for a view
        else:
            torch.testing.assert_close(maps[1], maps[0], rtol=0, atol=0, equal_nan=True)
        assert torch.equal(given, images())


@pytest.mark.parametrize("normalize", [in_place, through_views, by_assignment, and_then_spoils_it])
def test_nothing_that_runs_a_network_hands_it_the_images_of_the_caller(normalize):
    """Within rounding, of double precision: some of these networks are not folded."""
    model, reference = (
        Explained(Net(how).double(), "argmax_logit", cam_layer="features", input_range=(0.0, 1.0))
        for how in (normalize, out_of_place)
    )
    runs = {
        "outputs": lambda m, x: m.outputs(x),
        "scalars": lambda m, x: m.scalars(x),
        "gradients": lambda m, x: m.gradients(x),
        "features": lambda m, x: m.features(x, ["features"])["features"],
        "activations": lambda m, x: torch.cat(m.activations(x)),
        "grids": lambda m, x: torch.tensor(m.grids(["features", "conv"], x)["features"]),
        "shapes": lambda m, x: torch.tensor(m.output_shapes(["features"], x)["features"]),
        "network": lambda m, x: m.network()(x),
        "a copy's own copy": lambda m, x: m.network()(x.expand(2, -1, -1, -1)),
    }
    for name, run in runs.items():
        given = images(1).double() if "own" in name else images().double()
        before = given.clone()
        torch.testing.assert_close(run(model, given), run(reference, given), rtol=1e-9, atol=1e-12, msg=name)
        assert torch.equal(given, before), name


def test_images_are_copied_once_however_often_a_network_is_spared():
    network = spare_images(spare_images(nn.Identity()))
    assert len(network._forward_pre_hooks) == 1
    assert network(given := images()) is not given


class Keeps(Net):
    """Keeps what it computed, as many networks do for their class activation maps, and returns one and the same
    memory."""

    def __init__(self) -> None:
        super().__init__(out_of_place)
        self.memory = torch.zeros(8, 3, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        self.last = self.conv(x)
        outputs = super().forward(x)
        if outputs.requires_grad:
            return outputs
        return self.memory[: len(x)].copy_(outputs)


@pytest.mark.parametrize("name", ["captum:grad", "pair:grad", "zennit:lrp", "captum:gradcam", "grad"])
def test_what_a_network_keeps_of_a_run_is_in_nobody_s_way(name):
    """Batches of one: each output lies where the one before it lay."""
    method, maps = METHODS[name], []
    for network in (Keeps().double(), Net(out_of_place).double()):
        model = Explained(network, "argmax_logit", cam_layer="features", batch_size=1, input_range=(0.0, 1.0))
        x = images().double()
        model.gradients(x)  # leaves a graph, which cannot be copied
        maps.append(method.function(model, x, KEYS))
        assert model.outputs(x).unique(dim=0).shape[0] == 2
    torch.testing.assert_close(maps[0], maps[1], rtol=1e-6, atol=1e-9)


class OneMemory(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.memory = torch.zeros(1, 3, 16, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.memory.copy_(2 * x)


def test_a_module_s_outputs_are_kept_apart():
    module = OneMemory()
    with torch.no_grad(), captured_outputs({"": module}) as captured:
        for image in images().split(1):
            module(image)
    torch.testing.assert_close(torch.cat(captured[""]), 2 * images())


class Exits(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise SystemExit(3)


def test_a_network_that_ends_the_program_is_an_error():
    with pytest.raises(SaltrustError, match=r"ends the program \(sys.exit\(3\)\)"):
        Explained(Exits(), input_range=(0.0, 1.0)).outputs(images())
    with pytest.raises(SaltrustError, match="SystemExit: 3"):
        METHODS["captum:grad"].function(Explained(Exits(), input_range=(0.0, 1.0)), images(), KEYS)
