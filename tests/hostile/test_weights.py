"""Files of weights that hold more than numbers: none of them runs, and each is answered in one line.

Every case makes a file whose code, if it ran, would write a file that is called `ran`. Whatever is opened for writing
while the file is read and tried is watched by an audit hook (Python), and by what lies in the folder afterwards (C++).
"""

import json
import os
import pickle
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from saltrust.core.data_cards import Model
from saltrust.core.errors import SaltrustError
from saltrust.models.external import libraries
from saltrust.models.external.model import load
from saltrust.models.external.sources import FORMATS, find
from saltrust.models.external.torchscript import OPEN_FILES
from saltrust.models.external.weights import read_state

SIDE = 32
NET = """from torch import nn
def load():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""
XRV = "nih-pc-chex-mimic_ch-google-openi-kaggle-densenet121-d121-tw-lr001-rot45-tr15-sc15-seed0-best.pt"
TIMM = "resnet18.pth"


class Writes:
    """Unpickling it writes `ran`."""

    def __init__(self, folder: Path) -> None:
        self.target = folder / "ran"

    def __reduce__(self):
        return (Path.write_text, (self.target, "code ran"))


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


# --- programs ---------------------------------------------------------------------------------------------------------


class Saves(nn.Module):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.body, self.ran = net(), str(folder / "ran")

    def forward(self, images):
        torch.ops.aten.save(images, self.ran)
        return self.body(images)


class MapsFile(Saves):
    def forward(self, images):
        return self.body(images) + torch.from_file(self.ran, True, 64).sum() * 0


class MapsFileInto(Saves):
    def forward(self, images):
        found = torch.zeros(64)
        torch.ops.aten.from_file(self.ran, True, 64, out=found)
        return self.body(images) + found.sum() * 0


class SavesInBranch(Saves):
    def forward(self, images):
        if images.shape[0] > 1:
            torch.ops.aten.save(images, self.ran)
        return self.body(images)


class SavesOnLoading(nn.Module):
    """Its state is set by a method of its own, which torch.jit.load runs."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.weight, self.ran = torch.ones(2, 3), str(folder / "ran")

    @torch.jit.export
    def __getstate__(self):
        return (self.weight, self.ran, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, str, bool]):
        torch.ops.aten.save(state[0], state[1])
        self.weight, self.ran, self.training = state

    def forward(self, images):
        return images.mean((2, 3)) @ self.weight.T


PROGRAMS = {
    "torch.save in forward": Saves,
    "torch.from_file in forward": MapsFile,
    "from_file with a tensor to fill": MapsFileInto,
    "torch.save for batches alone": SavesInBranch,
    "torch.save as the program is loaded": SavesOnLoading,
}


def script(module: type[nn.Module], name: str) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.script(module(folder)).save(folder / name)
        return name

    return make


def edited(old: str, new: str) -> Callable[[Path], str]:
    """A program whose text was changed by hand."""

    def make(folder: Path) -> str:
        name = script(Saves, "whole.ts")(folder)
        with zipfile.ZipFile(folder / name) as archive, zipfile.ZipFile(folder / "edited.ts", "w") as changed:
            members = {member: archive.read(member) for member in archive.namelist()}
            assert any(old.encode() in content for member, content in members.items() if member.endswith(".py"))
            for member, content in members.items():
                text = content.replace(old.encode(), new.encode()) if member.endswith(".py") else content
                changed.writestr(member, text)
        return "edited.ts"

    return make


def harmless(name: str) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        torch.jit.script(net()).save(folder / name)
        return name

    return make


def linked(name: str) -> Callable[[Path], str]:
    """A name of weights that leads to a program."""

    def make(folder: Path) -> str:
        script(Saves, "program.ts")(folder)
        (folder / name).symlink_to(folder / "program.ts")
        return name

    return make


def beside(extra: str, name: str) -> Callable[[Path], str]:
    """An archive of weights with a member more."""

    def make(folder: Path) -> str:
        torch.save(net().state_dict(), folder / name)
        with zipfile.ZipFile(folder / name, "a") as archive:
            archive.writestr(f"{archive.namelist()[0].partition('/')[0]}/{extra}", pickle.dumps(Writes(folder)))
        return name

    return make


def weights_among_code(folder: Path) -> str:
    """A program whose data could also be read as weights."""
    script(Saves, "program.ts")(folder)
    torch.save(net().state_dict(), folder / "weights.pt")
    with zipfile.ZipFile(folder / "both.pt", "w") as both:
        for name in ("program.ts", "weights.pt"):
            with zipfile.ZipFile(folder / name) as one:
                for member in one.namelist():
                    if (path := f"both/{member.partition('/')[2]}") not in both.namelist():
                        both.writestr(path, one.read(member))
    return "both.pt"


def nested(folder: Path) -> str:
    script(Saves, "program.ts")(folder)
    with zipfile.ZipFile(folder / "nested.pt", "w") as archive:
        archive.write(folder / "program.ts", "nested/data.pkl")
    return "nested.pt"


def behind(folder: Path) -> str:
    """An archive behind other bytes, as zip allows it."""
    script(Saves, "program.ts")(folder)
    (folder / "behind.pt").write_bytes(b"#!/bin/sh\n" + (folder / "program.ts").read_bytes())
    return "behind.pt"


AS_WEIGHTS = {  # none of these may run, with an architecture or without
    **{f"{what}, named {name}": script(program, name)
       for what, program in PROGRAMS.items() for name in ("net.pt", "net.pth")},
    **{f"a program named {name}": harmless(name)
       for name in ("net.pt", "net.pth", "net.bin", "net.ckpt", "net.safetensors")},
    **{f"{name}, a link to a program": linked(name) for name in ("net.pt", "net.safetensors")},
    "weights and a program in one archive": weights_among_code,
    "weights with constants.pkl beside them": beside("constants.pkl", "net.pt"),
    "weights with code beside them, which says nothing": beside("constants.pkl", "net.bin"),
    "an archive within an archive": nested,
    "an archive behind a line of shell": behind,
}  # fmt: skip

BY_NAME = {  # programs that may run, and reach for files
    **{f"{what}, as a program": script(program, "net.ts") for what, program in PROGRAMS.items()},
    "torch.save as a .torchscript": script(Saves, "net.torchscript"),
    "an operation of the profiler": edited("torch.save(", "ops.profiler._record_function_enter("),
    "an object of a class of C++": edited("torch.save(", "__torch__.torch.classes.dist_rpc.WorkerInfo("),
    "torch.save with blanks around its dot": edited("torch.save(", "torch . save ("),
    "torch.save with a comment in its midst": edited("torch.save(", "torch # a\n    .save("),
    "torch.save as an operation of ops.aten": edited("torch.save(", "ops.aten.save("),
    "an operation that writes images": edited("torch.save(", "ops.image.write_file("),
    "a link that is named as a program, to a program that saves": lambda folder: (
        script(Saves, "net.pt")(folder), (folder / "link.ts").symlink_to(folder / "net.pt"), "link.ts"
    )[-1],
}  # fmt: skip


# --- exported programs ------------------------------------------------------------------------------------------------


def exported(change: Callable[[str, bytes, Path], bytes]) -> Callable[[Path], str]:
    """A program of torch.export whose members were changed."""

    def make(folder: Path) -> str:
        with zipfile.ZipFile(folder / "net.pt2", "w") as changed:
            for member, content in exported_members().items():
                changed.writestr(member, change(member, content, folder))
        return "net.pt2"

    return make


@cache
def exported_members() -> dict[str, bytes]:
    shapes = ({0: torch.export.Dim("n"), 2: torch.export.Dim("h", min=32), 3: torch.export.Dim("w", min=32)},)
    program = torch.export.export(net().eval(), (torch.rand(2, 3, SIDE, SIDE),), dynamic_shapes=shapes)
    torch.export.save(program, file := BytesIO())
    with zipfile.ZipFile(file) as archive:
        return {member: archive.read(member) for member in archive.namelist()}


def size(code: str) -> Callable[[Path], str]:
    """A program that says its sizes in Python."""

    def change(member: str, content: bytes, folder: Path) -> bytes:
        def plant(part: dict) -> dict:
            return part | ({"expr_str": code.format(ran=folder / "ran")} if "expr_str" in part else {})

        return json.dumps(json.loads(content, object_hook=plant)).encode() if "models/" in member else content

    return exported(change)


def operation(target: str) -> Callable[[Path], str]:
    def change(member: str, content: bytes, folder: Path) -> bytes:
        return content.replace(b"torch.ops.aten.adaptive_avg_pool2d.default", target.encode())

    return exported(change)


def maps_file(member: str, content: bytes, folder: Path) -> bytes:
    if "models/" not in member:
        return content
    program = json.loads(content)
    node = next(node for node in program["graph_module"]["graph"]["nodes"] if "avg_pool2d" in node["target"])
    given = {"filename": {"as_string": str(folder / "ran")}, "shared": {"as_bool": True}, "size": {"as_int": 64}}
    node["target"] = "torch.ops.aten.from_file.default"
    node["inputs"] = [{"name": name, "arg": value, "kind": 1} for name, value in given.items()]
    return json.dumps(program).encode()


EXPORTED = {
    "a size that calls the system": size("__import__('os').system('touch {ran}')"),
    "a size that opens a file": size("open('{ran}', 'w')"),
    "a size whose code hides in an argument": size("Max(1, open('{ran}', 'w').close() or 1)"),
    "a size that calls what it finds": size("().__class__.__base__.__subclasses__()"),
    "a size by a lambda": size("(lambda: open('{ran}', 'w'))()"),
    "a size that spells names out": size("exec(chr(111) + chr(112))"),
    "a size in a comprehension": size("[open('{ran}', 'w') for _ in (1,)]"),
    "a size of a text that sympy would read again": size('S(\'open("{ran}", "w")\')'),
    "a size that is no expression": size("import os"),
    "a size that is very deep": size("(" * 500 + "1" + ")" * 500),
    "a call of the operating system": operation("torch.os.system"),
    "a call of Python's exec": operation("torch.builtins.exec"),
    "an operation that maps a file": exported(maps_file),
}


# --- pickles ----------------------------------------------------------------------------------------------------------


def pickled(name: str, **options: object) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        torch.save(net().state_dict() | {"code": Writes(folder)}, folder / name, **options)
        return name

    return make


def bare(name: str, protocol: int) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        (folder / name).write_bytes(pickle.dumps(Writes(folder), protocol))
        return name

    return make


def whole(name: str) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        torch.save(net(), folder / name)
        return name

    return make


def hook(folder: Path) -> str:
    """Weights in a dict with a hook, which torch calls as it fills a network."""
    state = net().state_dict()
    state._metadata = {"": {"version": Writes(folder)}}
    torch.save(state, folder / "net.pt")
    return "net.pt"


def rebuilt(folder: Path) -> str:
    """A tensor that is rebuilt by a function of the file's."""

    class Tensor(torch.Tensor):
        def __reduce_ex__(self, protocol: int):
            return Writes(folder).__reduce__()

    torch.save({"0.weight": torch.ones(1).as_subclass(Tensor)}, folder / "net.pt")
    return "net.pt"


def tar(folder: Path) -> str:
    with tarfile.open(folder / "net.pt", "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            (folder / name).write_bytes(pickle.dumps(Writes(folder)))
            archive.add(folder / name, name)
            (folder / name).unlink()
    return "net.pt"


def safetensors(header: bytes, length: int | None = None) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        size = len(header) if length is None else length
        (folder / "net.safetensors").write_bytes(size.to_bytes(8, "little") + header + bytes(16))
        return "net.safetensors"

    return make


FLOAT = b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[%s]}}'

PICKLES = {
    **{f"a pickle with code, named {name}": pickled(name) for name in ("net.pt", "net.pth", "net.bin", "net.ckpt")},
    "a pickle with code in the format before torch 1.6": pickled("net.pth", _use_new_zipfile_serialization=False),
    "a pickle with code, named as safetensors": pickled("net.safetensors"),
    **{f"a bare pickle of protocol {n}": bare("net.bin", n) for n in (0, 2, 4, 5)},
    "a whole network": whole("net.pt"),
    "a whole network, named as safetensors": whole("net.safetensors"),
    "code in the metadata of a state": hook,
    "a tensor whose class rebuilds it": rebuilt,
    "a tar of torch 0.1": tar,
    "safetensors with a header that is no JSON": safetensors(b"these are no weights"),
    "safetensors with a header of 9 exabytes": safetensors(b"{}", 2**63 - 1),
    "safetensors whose numbers lie beyond the end": safetensors(FLOAT % b"0,160"),
    "safetensors whose numbers end before they start": safetensors(FLOAT % b"16,0"),
    "safetensors of a type that there is not": safetensors(FLOAT.replace(b"F32", b"PY3") % b"0,16"),
    "safetensors with a pickle behind its header": safetensors(b"{}" + pickle.dumps(0)),
}

# --- Keras ------------------------------------------------------------------------------------------------------------

LAMBDA = {
    "class_name": "Lambda",
    "config": {"function": ["4wAAAAA=", None, None], "batch_input_shape": [None, 9, 9, 3]},
}


def keras(write: Callable[[h5py.File, Path], object]) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        with h5py.File(folder / "net.h5", "w") as file:
            write(file, folder)
        return "net.h5"

    return make


def model_config(text: object) -> Callable[[Path], str]:
    def write(file: h5py.File, folder: Path) -> None:
        file.attrs["model_config"] = text
        file["model_weights/conv2d/kernel:0"] = np.ones((3, 3, 3, 8), np.float32)

    return keras(write)


def other_file(file: h5py.File, folder: Path) -> None:
    (folder / "secret").write_bytes(bytes(64))
    file.create_group("model_weights").create_dataset(
        "dense/kernel:0", (4, 4), np.float32, external=[(str(folder / "secret"), 0, 64)]
    )


def virtual(file: h5py.File, folder: Path) -> None:
    layout = h5py.VirtualLayout((4,), np.float32)
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", (4,))
    file.create_virtual_dataset("dense/kernel:0", layout)


def bomb(file: h5py.File, folder: Path) -> None:
    file.create_dataset("dense/kernel:0", (1 << 15, 1 << 15), np.float32, chunks=(1 << 10, 1 << 10), compression="gzip")


def array(name: str, values: object) -> Callable[[Path], str]:
    return keras(lambda file, folder: file.create_dataset(name, data=values))


KERAS = {
    "a Lambda layer": model_config(json.dumps({"config": {"layers": [LAMBDA]}})),
    "a description that is no JSON": model_config("__import__('os').system('touch ran')"),
    "a description that is a number": model_config(3),
    "a description of bytes": model_config(np.void(b"\x80\x04\x95")),
    "a description a thousand deep": model_config("[" * 5000 + "]" * 5000),
    "numbers in another file": keras(other_file),
    "numbers in another file of HDF5": keras(virtual),
    "weights by a link to another file": keras(
        lambda file, folder: file.__setitem__("model_weights", h5py.ExternalLink("/etc/passwd", "/"))
    ),
    "weights by a link that leads nowhere": keras(
        lambda file, folder: file.__setitem__("model_weights", h5py.SoftLink("/not/there"))
    ),
    "4 GiB of zeros in a few bytes": keras(bomb),
    "a kernel of one number": array("conv2d/kernel:0", np.float32(1)),
    "a kernel of words": array("conv2d/kernel:0", ["a", "b"]),
    "weights where a group should be": array("model_weights", np.ones(3)),
    "no layers": keras(lambda file, folder: None),
}


CASES = {
    f"{kind}: {name}": (make, architecture)
    for kind, cases, architectures in (
        ("weights", AS_WEIGHTS, ("nets.py:load", "")),
        ("program", BY_NAME, ("",)),
        ("exported", EXPORTED, ("",)),
        ("pickle", PICKLES, ("nets.py:load",)),
        ("Keras", KERAS, ("",)),
    )
    for architecture in architectures
    for name, make in ((f"{name}{'' if architecture or len(architectures) == 1 else ', no architecture'}", make)
                       for name, make in cases.items())
}  # fmt: skip


# --- what is watched --------------------------------------------------------------------------------------------------

_watched: list[str] | None = None


def _watch(event: str, arguments: tuple) -> None:
    """Note what Python opens for writing, and every process that it starts."""
    if _watched is None:
        return
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        _watched.append(f"open {arguments[0]}")
    elif event in ("os.system", "subprocess.Popen", "os.exec", "os.fork", "os.posix_spawn", "os.remove", "os.rename"):
        _watched.append(event)


sys.addaudithook(_watch)


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Names of what is written, deleted or started from here on, by Python or by C++ within the folder."""
    global _watched
    (tmp_path / "nets.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SALTRUST_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before: set[str] = set()

    def start() -> None:
        global _watched
        before.update(str(file) for file in tmp_path.rglob("*"))
        _watched = []

    def seen() -> list[str]:
        return [*_watched, *sorted({str(file) for file in tmp_path.rglob("*")} - before)]

    yield start, seen
    _watched = None


def refused(source: str, architecture: str, folder: Path) -> str:
    """The one line with which a model is refused when it is found, probed and run."""
    with pytest.raises(SaltrustError) as caught:
        load(Model(source=source, architecture=architecture, classes=("a", "b", "c", "d")), folder, (), "a")
    return str(caught.value)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_weights_never_run(case, watched, tmp_path, capfd):
    make, architecture = case
    start, seen = watched
    source = make(tmp_path)
    start()
    line = refused(source, architecture, tmp_path)
    assert seen() == []
    assert "\n" not in line
    assert source in line
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("name", "make"),
    [
        (name, make)
        for name, make in {
            "timm:resnet18 as a program": (TIMM, script(Saves, TIMM)),
            "timm:resnet18 as a program that acts when loaded": (TIMM, script(SavesOnLoading, TIMM)),
            "timm:resnet18 as a pickle with code": (TIMM, pickled(TIMM)),
            "timm:resnet18 as a whole network": (TIMM, whole(TIMM)),
            "xrv as a program": (XRV, script(Saves, XRV)),
            "xrv as a program that acts when loaded": (XRV, script(SavesOnLoading, XRV)),
            "xrv as a pickle with code": (XRV, pickled(XRV)),
            "xrv as an old pickle with code": (XRV, pickled(XRV, _use_new_zipfile_serialization=False)),
            "xrv as a tar": (XRV, lambda folder: (tar(folder), (folder / "net.pt").rename(folder / XRV))),
        }.items()
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_local_weights_of_libraries_never_run(name, make, watched, tmp_path, capfd):
    start, seen = watched
    file, plant = make
    plant(tmp_path)
    start()
    source = "timm:resnet18" if file == TIMM else "xrv:densenet121-res224-all"
    with pytest.raises(SaltrustError) as caught:
        find(Model(source=source), tmp_path)
    assert seen() == []
    assert file in str(caught.value)
    assert "\n" not in str(caught.value)


# --- that the tests above could fail ----------------------------------------------------------------------------------


def test_what_is_watched_would_be_seen(watched, tmp_path):
    start, seen = watched
    names = [script(program, f"{at}.ts")(tmp_path) for at, program in enumerate(PROGRAMS.values())]
    pickled("code.pt")(tmp_path)
    start()
    for name in names:
        torch.jit.load(name)(torch.rand(2, 3, SIDE, SIDE))
        assert any(entry.endswith("ran") for entry in seen()), name
        (tmp_path / "ran").unlink()
    torch.load("code.pt", weights_only=False)
    assert any(entry.startswith("open ") and entry.endswith("ran") for entry in seen())


def test_torch_would_run_the_python_in_a_size(tmp_path):
    EXPORTED["a size that calls the system"](tmp_path)
    with pytest.raises(Exception, match="is_Integer"):
        torch.export.load(tmp_path / "net.pt2")
    assert (tmp_path / "ran").exists()


def test_every_operation_of_torch_that_takes_the_name_of_a_file_is_refused():
    """torch's own list of operations is the oracle."""
    named = {
        schema.name.removeprefix("aten::")
        for schema in torch._C._jit_get_all_schemas()
        if schema.name.startswith("aten::")
        and any(argument.name == "filename" and "str" in str(argument.type) for argument in schema.arguments)
    }
    assert named == set(OPEN_FILES)


def test_every_format_has_its_cases():
    """A new format of models is tried with a program, a pickle or code, too."""
    tried = {f".{word.rpartition('.')[2]}" for word in " ".join(CASES).replace(",", " ").split() if "." in word}
    assert set(FORMATS) - tried - {".py", ".hdf5", ".h5", ".pt2", ".ts"} == set()


# --- what works as before ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["net.ts", "net.torchscript"])
def test_a_program_that_is_named_as_one_runs(name, tmp_path):
    harmless(name)(tmp_path)
    found = load(Model(source=name, size=SIDE, channels=3, classes=("a", "b", "c", "d")), tmp_path, (), "a")
    assert found.network(torch.rand(2, 3, SIDE, SIDE)).shape == (2, 1)


class Ops(nn.Module):
    """A module that is called as torch's namespaces of operations are."""

    def __init__(self) -> None:
        super().__init__()
        self.ops, self.save = nn.Conv2d(3, 4, 3), nn.ReLU()

    def forward(self, images):
        ops = self.ops
        return self.save(ops.forward(images)).mean((2, 3))


def test_names_like_those_of_operations_are_no_operations(tmp_path):
    from saltrust.models.torchvision_compat import torchvision

    torch.jit.script(Ops()).save(tmp_path / "ops.ts")
    torch.jit.script(torchvision.models.mobilenet_v2(num_classes=2).eval()).save(
        tmp_path / "misc.ts"
    )  # torchvision.ops.misc
    for name in ("ops.ts", "misc.ts"):
        assert find(Model(source=name), tmp_path).body(torch.rand(1, 3, SIDE, SIDE)).shape[0] == 1


def test_an_exported_program_of_open_size_runs(tmp_path):
    exported(lambda member, content, folder: content)(tmp_path)
    found = find(Model(source="net.pt2"), tmp_path)
    assert found.says == {"channels": 3}
    assert found.body(torch.rand(3, 3, 48, 40)).shape == (3, 4)


def test_safetensors_by_a_link_are_read_as_what_they_are(tmp_path):
    (tmp_path / "nets.py").write_text(NET)
    save_file(net().state_dict(), tmp_path / "net.safetensors")
    (tmp_path / "link.pt").symlink_to(tmp_path / "net.safetensors")
    assert find(Model(source="link.pt", architecture="nets.py:load"), tmp_path).body(torch.rand(1, 3, SIDE, SIDE)).any()


def test_an_environment_that_frees_torch_s_reading_is_overruled(tmp_path, monkeypatch):
    pickled(TIMM)(tmp_path)
    monkeypatch.setenv("SALTRUST_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(SaltrustError, match=TIMM):
        find(Model(source="timm:resnet18"), tmp_path)
    assert not (tmp_path / "ran").exists()
    assert os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] == "1"


def test_a_pickled_network_is_not_built_by_its_own_class(tmp_path, monkeypatch):
    """A class of torchxrayvision fetches weights as it is made: pickles must not have it made."""
    xrv = libraries.library("torchxrayvision")

    class Made:
        def __reduce__(self):
            return (xrv.models.DenseNet, ())

    torch.save({"a": Made()}, tmp_path / XRV)
    monkeypatch.setattr(xrv.models.DenseNet, "__init__", lambda *given, **options: pytest.fail("it was made"))
    with pytest.raises(SaltrustError, match="is not a file of weights by name"):
        read_state(tmp_path / XRV, "a file", (xrv.models.DenseNet,))
