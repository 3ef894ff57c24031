"""Where classifiers come from: each source gives the network that was put there, and no bad file does harm."""

import copy
import json
import pickle
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from saltrust.core.data_cards import Model
from saltrust.core.errors import SaltrustError
from saltrust.models.external import libraries
from saltrust.models.external.sources import find
from saltrust.models.external.torchscript import Compiled
from saltrust.models.external.weights import read_state
from saltrust.models.torchvision_compat import torchvision

timm = libraries.library("timm")  # not by import: torchvision must come first
SIDE = 48

NET = """
import torch
from torch import nn

def net(outputs=2, channels=3):
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, outputs),
    )

def load():
    return net()
"""


class Planted:
    """Its unpickling writes a file: the proof that code ran."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (Path.write_text, (self.target, "code ran"))


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    (tmp_path / "nets.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SALTRUST_WEIGHTS", str(tmp_path))
    return tmp_path


def network(folder: Path) -> nn.Module:
    return find(Model(source="nets.py:load"), folder).body.eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def same(found: nn.Module, wanted: nn.Module, images: torch.Tensor) -> None:
    with torch.no_grad():
        torch.testing.assert_close(found.eval()(images), wanted.eval()(images), rtol=1e-5, atol=1e-6)


# --- what works -------------------------------------------------------------------------------------------------------


def test_a_function_may_say_more_than_its_network(folder):
    (folder / "more.py").write_text(
        NET + "\ndef more():\n    return {'network': net(), 'classes': ['a', 'b'], 'std': [0.2]}"
    )
    found = find(Model(source="more.py:more"), folder)
    assert found.says == {"classes": ["a", "b"], "std": [0.2]}
    assert found.code == (folder / "more.py",)


def test_neighbours_are_imported_counted_and_forgotten(folder):
    for name, value in (("one", 1), ("two", 2)):
        (folder / name).mkdir()
        (folder / name / "neighbour.py").write_text(f"import helper\nVALUE = {value}")
        (folder / name / "helper.py").write_text("")
        (folder / name / "unused.py").write_text("raise RuntimeError")
        (folder / name / "model.py").write_text(
            "import neighbour\nfrom torch import nn\ndef load(): return nn.Linear(neighbour.VALUE, 1)"
        )
    path = list(sys.path)
    one, two = (find(Model(source=f"{name}/model.py:load"), folder) for name in ("one", "two"))
    assert (one.body.in_features, two.body.in_features) == (1, 2)
    assert [file.name for file in one.code] == ["model.py", "neighbour.py", "helper.py"]
    assert sys.path == path
    assert "neighbour" not in sys.modules


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth", ".ckpt"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_by_name_in_a_function_s_architecture(suffix, prefix, folder, images):
    wanted = network(folder)
    with torch.no_grad():
        wanted[0].weight.add_(1)
    state = {f"{prefix}{name}": value for name, value in wanted.state_dict().items()}
    file = folder / f"weights{suffix}"
    save_file(state, file) if suffix == ".safetensors" else torch.save({"state_dict": state, "epoch": 3}, file)
    same(find(Model(source=file.name, architecture="nets.py:load"), folder).body, wanted, images)


@pytest.mark.parametrize("suffix", [".ts", ".torchscript"])
def test_a_torchscript_program(suffix, folder, images):
    wanted = network(folder)
    torch.jit.script(wanted).save(folder / f"program{suffix}")
    found = find(Model(source=f"program{suffix}"), folder).body
    assert isinstance(found, Compiled)
    same(found, wanted, images)
    assert set(found.state_dict()) == set(wanted.state_dict())


def test_a_change_of_a_program_s_weights_changes_what_it_computes_and_copies_are_apart(folder, images):
    wanted = network(folder)
    torch.jit.script(wanted).save(folder / "program.ts")
    found = find(Model(source="program.ts"), folder).body.eval()
    other = copy.deepcopy(found).double().float()
    with torch.no_grad():
        dict(other.named_parameters())["7.weight"].mul_(2)
        dict(other.named_buffers())["1.running_mean"].add_(0.5)
    same(found, wanted, images)
    with torch.no_grad():
        wanted[7].weight.mul_(2)
        wanted[1].running_mean.add_(0.5)
    same(other, wanted, images)


@pytest.mark.parametrize(
    "make",
    [lambda: torchvision.models.mobilenet_v2(num_classes=2), lambda: timm.create_model("test_vit", num_classes=2)],
)
def test_an_exported_program_computes_the_same_in_functions_of_torch(make, folder):
    torch.manual_seed(0)
    wanted = make().eval()
    side = getattr(wanted, "default_cfg", {}).get("input_size", (3, SIDE, SIDE))[1]
    images = torch.rand(3, 3, side, side)
    torch.export.save(
        torch.export.export(wanted, (images,), dynamic_shapes=({0: torch.export.Dim("n")},)), folder / "program.pt2"
    )
    found = find(Model(source="program.pt2"), folder)
    assert found.says == {"size": side, "channels": 3}
    same(found.body, wanted, images)
    names = {getattr(node.target, "__name__", "") for node in found.body.graph.nodes if node.op == "call_function"}
    assert not [name for name in names if ".default" in name and name != "hardtanh_.default"]


def test_timm_and_torchvision_architectures_take_weights(folder, images):
    for library, make in (("timm", timm.create_model), ("torchvision", torchvision.models.get_model)):
        torch.manual_seed(2)
        wanted = make("resnet18", num_classes=2)
        save_file(wanted.state_dict(), folder / "weights.safetensors")
        model = Model(source="weights.safetensors", architecture=f"{library}:resnet18", classes=("a", "b"))
        found = find(model, folder)
        same(found.body, wanted, images)
        assert found.says["mean"] == (0.485, 0.456, 0.406)


def test_timm_by_name_reads_local_weights_and_knows_its_classes(folder, images):
    torch.manual_seed(3)
    wanted = timm.create_model("resnet18")
    save_file(wanted.state_dict(), folder / "resnet18.safetensors")
    found = find(Model(source="timm:resnet18"), folder)
    same(found.body, wanted, images)
    assert len(found.says["classes"]) == 1000
    assert "goldfish" in found.says["classes"][1]


@pytest.mark.parametrize("legacy", [False, True])
def test_torchxrayvision_s_pickled_networks_are_read_without_running_code(legacy, folder):
    """Its DenseNets are published as whole pickled networks, its ResNets as weights by name."""
    xrv = libraries.library("torchxrayvision")
    torch.manual_seed(4)
    wanted = xrv.models.DenseNet(num_classes=18)
    filename = xrv.models.model_urls["densenet121-res224-all"]["weights_url"].rpartition("/")[2]
    torch.save(wanted, folder / filename, _use_new_zipfile_serialization=not legacy)
    found = find(Model(source="xrv:densenet121-res224-all"), folder)
    assert found.says["input_range"] == (-1024, 1024)
    assert found.says["classes"][3] == "Pneumothorax"
    xrays = torch.rand(2, 1, 64, 64) * 2048 - 1024
    same(found.body, wanted, xrays)


def test_torchxrayvision_s_resnet(folder):
    xrv = libraries.library("torchxrayvision")
    wanted = libraries.XRV_BODIES["resnet50"](18)
    filename = xrv.models.model_urls["resnet50-res512-all"]["weights_url"].rpartition("/")[2]
    torch.save(wanted.state_dict(), folder / filename)
    found = find(Model(source="xrv:resnet50-res512-all"), folder)
    assert found.says["size"] == 512
    same(found.body, wanted, torch.rand(1, 1, 64, 64))


# --- what is refused --------------------------------------------------------------------------------------------------

SOURCES = [
    ("nowhere.py:load", "no such file"),
    ("nets.py", "names no function: write nets.py:load"),
    ("nets.py:laod", "did you mean 'load'"),
    ("broken.py:load", "line 3: SyntaxError"),
    ("raises.py:load", "line 2: ValueError: out of luck"),
    ("quits.py:load", "SystemExit"),
    ("imports.py:load", "ModuleNotFoundError: No module named 'not_there'"),
    ("asks.py:load", "missing 1 required positional argument"),
    ("number.py:load", "returned a int"),
    ("nothing.py:load", "returned a NoneType"),
    ("state.py:load", "returned a OrderedDict"),
    ("extra.py:load", "did you mean 'classes'"),
    ("model.onnx", "is neither a file"),
    ("somebody/model", "is neither a file"),
    ("timm:resnet_18", "did you mean 'resnet18'"),
    ("xrv:densenet121-res224-al", "did you mean 'densenet121-res224-all'"),
    ("empty.pt", "is an empty file"),
    ("empty.ts", "is an empty file"),
    ("empty.pt2", "is an empty file"),
    ("text.safetensors", "cannot be read, or was cut short"),
    ("text.pt", "cannot be read, or was cut short|more than weights"),
    ("text.ts", "is not a TorchScript program"),
    ("text.pt2", "no archive"),
    ("short.safetensors", "cannot be read, or was cut short"),
    ("short.pt", "cannot be read, or was cut short"),
    ("short.ts", "is not a TorchScript program"),
    ("bomb.pt", "unpacks to"),
    ("bomb.pt2", "unpacks to"),
    ("tensor.pt", "it holds Tensor"),
    ("list.pt", "it holds list"),
    ("optimizer.pt", "a dict with optimizer, epoch"),
    ("whole.pt", "holds more than weights"),
    ("planted.pt", "holds more than weights"),
    ("planted_legacy.pth", "holds more than weights"),
    ("planted.bin", "holds more than weights|cannot be read"),
    ("planted.pt2", "custom_obj|not a program"),
    ("planted_constant.pt2", "custom_obj|opaque_obj"),
    ("planted_sample.pt2", "not a program"),
    ("planted_weight.pt2", "not a program"),
    ("weights.pt2", "not a program of torch.export"),
    ("fixed.pt2", "fixed to batches of 1"),
    ("two.pt2", "takes 2 inputs"),
    ("lacks.pt", "it lacks 7.bias"),
    ("beside.pt", "it has beside it extra"),
    ("shape.pt", r"has in another shape 7.weight \(3, 8\) for \(2, 8\)"),
    ("nan.pt", "has infinite or NaN numbers in 7.bias"),
    ("other.pt", "and 118 more"),
]

FILES = {
    "broken.py": "\n\ndef load(:",
    "raises.py": "def load():\n    raise ValueError('out of luck')",
    "quits.py": "import sys\nsys.exit(3)",
    "imports.py": "import not_there\ndef load(): ...",
    "asks.py": "def load(path): ...",
    "number.py": "def load(): return 3",
    "nothing.py": "def load(): pass",
    "state.py": "from torch import nn\ndef load(): return nn.Linear(1, 1).state_dict()",
    "extra.py": "from torch import nn\ndef load(): return {'network': nn.Linear(1, 1), 'clases': ['a']}",
    "empty.pt": "",
    "empty.ts": "",
    "empty.pt2": "",
    **{f"text.{suffix}": "these are no weights " * 9 for suffix in ("safetensors", "pt", "ts", "pt2")},
}


@pytest.fixture(scope="module")
def bad(tmp_path_factory) -> Path:
    """A folder of files that cannot be used, among them archives whose unpickling would write `ran`."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "nets.py").write_text(NET)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    net = network(folder)
    state, planted = net.state_dict(), Planted(folder / "ran")
    save_file(state, folder / "short.safetensors")
    torch.save(state, folder / "short.pt")
    torch.jit.script(net).save(folder / "short.ts")
    for name in ("short.safetensors", "short.pt", "short.ts"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) * 2 // 3])
    for name in ("bomb.pt", "bomb.pt2"):
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data.pkl", bytes(1 << 24))
    torch.save(torch.ones(3), folder / "tensor.pt")
    torch.save([torch.ones(3)], folder / "list.pt")
    torch.save({"optimizer": {}, "epoch": 3}, folder / "optimizer.pt")
    torch.save(net, folder / "whole.pt")
    torch.save({"0.weight": planted}, folder / "planted.pt")
    torch.save({"0.weight": planted}, folder / "planted_legacy.pth", _use_new_zipfile_serialization=False)
    (folder / "planted.bin").write_bytes(pickle.dumps(planted))
    torch.save(state, folder / "weights.pt2")
    torch.save({k: v for k, v in state.items() if k != "7.bias"}, folder / "lacks.pt")
    torch.save(state | {"extra": torch.ones(1)}, folder / "beside.pt")
    torch.save(state | {"7.weight": torch.ones(3, 8)}, folder / "shape.pt")
    torch.save(state | {"7.bias": torch.full((2,), torch.nan)}, folder / "nan.pt")
    torch.save(torchvision.models.resnet18().state_dict(), folder / "other.pt")
    _exported(folder, net, planted)
    return folder


def _exported(folder: Path, net: nn.Module, planted: Planted) -> None:
    image = torch.rand(2, 3, SIDE, SIDE)
    torch.export.save(torch.export.export(net, (image[:1],)), folder / "fixed.pt2")

    class Two(nn.Module):
        def forward(self, image, age):
            return image.mean((2, 3)) + age

    torch.export.save(torch.export.export(Two(), (image, torch.ones(2, 3))), folder / "two.pt2")
    program = torch.export.export(net, (image,), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.export.save(program, folder / "good.pt2")
    with zipfile.ZipFile(folder / "good.pt2") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (root,) = {name.partition("/")[0] for name in members}
    torch.save({"x": planted}, folder / "inner.bin")
    evil = (folder / "inner.bin").read_bytes()
    config = f"{root}/data/constants/model_constants_config.json"
    entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    constants = json.dumps({"config": {"x": entry}}).encode()
    weights = f"{root}/data/weights/model_weights_config.json"
    described = json.loads(members[weights])
    first = next(iter(described["config"].values()))
    first |= {"use_pickle": True, "tensor_meta": None}
    changes = {
        "planted.pt2": {f"{root}/data/constants/custom_obj_0": pickle.dumps(planted)},
        "planted_constant.pt2": {f"{root}/data/constants/opaque_obj_0": pickle.dumps(planted), config: constants},
        "planted_sample.pt2": {f"{root}/data/sample_inputs/model.pt": evil},
        "planted_weight.pt2": {
            weights: json.dumps(described).encode(),
            f"{root}/data/weights/{first['path_name']}": evil,
        },
    }
    for name, changed in changes.items():
        with zipfile.ZipFile(folder / name, "w") as archive:
            for member, content in (members | changed).items():
                archive.writestr(member, content)


@pytest.mark.parametrize(("source", "message"), SOURCES, ids=[source for source, _ in SOURCES])
def test_a_bad_source_is_refused_in_one_line_and_runs_no_code(source, message, bad, monkeypatch):
    monkeypatch.chdir(bad)
    with pytest.raises(SaltrustError, match=message) as caught:
        find(Model(source=source, architecture="nets.py:load"), bad)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700
    assert not (bad / "ran").exists()


def test_the_planted_code_would_run(tmp_path):
    """Without this the tests above could pass by a harmless file."""
    torch.save({"x": Planted(tmp_path / "ran")}, tmp_path / "planted.pt")
    torch.load(tmp_path / "planted.pt", weights_only=False)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("", "say whose by `architecture`"),
        ("resnet43", "did you mean 'resnet34'"),
        ("timm:resnet_18", "did you mean 'resnet18'"),
        ("torchvision:resnet_18", "did you mean 'resnet18'"),
        ("tim:resnet18", "did you mean 'timm'"),
        ("gone.py:load", "no such file"),
        ("nets.py:nett", "did you mean 'net'"),
        ("torchvision:fcn_resnet50", "unknown classifier of torchvision"),
    ],
)
def test_a_bad_architecture_is_refused(architecture, message, folder):
    save_file(network(folder).state_dict(), folder / "weights.safetensors")
    with pytest.raises(SaltrustError, match=message):
        find(Model(source="weights.safetensors", architecture=architecture), folder)


def test_a_missing_library_is_named(monkeypatch, folder):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(SaltrustError, match="pip install timm"):
        find(Model(source="timm:resnet18"), folder)


def test_weights_that_are_nowhere_are_asked_for(folder, monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setattr(timm.models._builder, "load_pretrained", offline)
    monkeypatch.setenv("HOME", str(folder))
    with pytest.raises(SaltrustError, match=r"no nih-densenet121.*no network"):
        find(Model(source="xrv:densenet121-res224-nih"), folder)
    with pytest.raises(SaltrustError, match=r"resnet18.safetensors: OSError: no network"):
        find(Model(source="timm:resnet18"), folder)


def test_reading_a_state_leaves_the_caller_s_classes_refused(folder):
    """What one library's file may hold is allowed for that file alone."""
    torch.save(network(folder), folder / "whole.pt")
    classes = tuple({type(module) for module in network(folder).modules()})
    assert "0.weight" in read_state(folder / "whole.pt", "a file", classes)
    with pytest.raises(SaltrustError, match="more than weights"):
        read_state(folder / "whole.pt", "a file")
