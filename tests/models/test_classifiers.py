"""Classifiers: input convention, prediction, and ImageNet weights from a local folder."""

import hashlib
import io
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from saltrust.core.errors import SaltrustError
from saltrust.models import classifiers
from saltrust.models.architectures import ARCHITECTURES, DEEPER, deepened
from saltrust.models.classifiers import build, evaluating, imagenet_weights, predict, provenance, restored, to_input
from saltrust.models.torchvision_compat import torchvision

# VGG16 is built as AlexNet is, but takes seconds; of the depth test's networks, one stands for all.
SOME = ["inception_v3", "densenet121", "resnet34", "alexnet+2"]


def test_to_input_maps_black_to_minus_one_and_white_to_one():
    grey = np.array([[[0, 255], [51, 102]]], np.uint8)
    images = to_input(grey)
    assert images.shape == (1, 3, 2, 2)
    assert images.dtype == torch.float32
    for channel in range(3):
        assert images[0, channel].flatten().tolist() == pytest.approx([-1.0, 1.0, -0.6, -0.2], abs=1e-6)


@pytest.mark.parametrize("input_range", [(0.0, 1.0), (-1.0, 1.0), (-3.0, 5.0)])
def test_to_input_spans_exactly_the_input_range(input_range):
    images = to_input(np.arange(256, dtype=np.uint8).reshape(1, 16, 16), input_range)
    assert (images.min().item(), images.max().item()) == input_range
    assert np.allclose(images[0, 0].flatten().numpy(), np.linspace(*input_range, 256), atol=1e-6)


def test_to_input_keeps_colour():
    colour = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3), dtype=np.uint8)
    images = to_input(colour)
    assert images.shape == (2, 3, 3, 4)
    assert np.allclose(images[1, 2].numpy(), colour[1, :, :, 2] / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize("architecture", SOME)
def test_build_is_determined_by_its_seed_alone(architecture):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, same, other = (build(architecture, seed=s).state_dict() for s in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[name], same[name]) for name in one)
    head = f"{ARCHITECTURES[architecture].stages[0].modules[0]}.weight"
    assert not torch.equal(one[head], other[head])


@pytest.mark.parametrize("architecture", SOME)
def test_a_restored_network_is_the_one_that_was_built(architecture):
    model = build(architecture, n_outputs=3, seed=2)
    before = torch.get_rng_state()
    again = restored(architecture, model.state_dict(), n_outputs=3)
    assert torch.equal(before, torch.get_rng_state())
    assert not any(tensor.is_meta for tensor in (*again.parameters(), *again.buffers()))
    assert all(weight.requires_grad for weight in again.parameters())
    images = torch.rand(2, 3, 80, 80, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(again.eval()(images), model.eval()(images))


def test_weights_of_another_network_are_not_restored():
    state = build("densenet121").state_dict()
    with pytest.raises(
        SaltrustError, match="(?s)not the weights of densenet121 with 2 outputs: .*size mismatch for class"
    ):
        restored("densenet121", state, n_outputs=2)
    with pytest.raises(SaltrustError, match="(?s)not the weights of resnet34 with 1 outputs: .*Missing key"):
        restored("resnet34", state)


@pytest.mark.parametrize("architecture", SOME)
def test_predict_is_the_eval_mode_forward_pass_whatever_the_batch_size(architecture):
    model = build(architecture, n_outputs=2).train()
    pixels = np.random.default_rng(0).integers(0, 256, (5, 80, 80), dtype=np.uint8)
    input_range = ARCHITECTURES[architecture].input_range
    logits = predict(model, pixels, batch_size=2, input_range=input_range)
    assert logits.shape == (5, 2)
    assert logits.dtype == np.float64
    assert model.training
    with evaluating(model), torch.no_grad():
        expected = model(to_input(pixels, input_range)).double().numpy()
    assert np.allclose(logits, expected, atol=1e-4)


@pytest.fixture
def skeleton(monkeypatch):
    """architecture -> network of ten outputs whose weights are whatever the memory held."""
    monkeypatch.setattr(nn.init, "kaiming_normal_", lambda weight, **kwargs: weight)
    return lambda architecture: build(architecture, n_outputs=10)


@pytest.mark.parametrize(
    ("architecture", "head"),
    [
        ("resnet34", [("Conv2d", 512, 10)]),
        ("alexnet", [("Linear", 9216, 4096), ("Linear", 4096, 4096), ("Linear", 4096, 10)]),
        ("vgg16", [("Linear", 25088, 4096), ("Linear", 4096, 10)]),
    ],
)
def test_bodies_are_torchvision_s_and_heads_the_paper_s(architecture, head, skeleton):
    spec = ARCHITECTURES[architecture]
    model = skeleton(architecture)
    with torch.device("meta"):
        reference = getattr(torchvision.models, architecture)(weights=None).state_dict()
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    body = {name: shape for name, shape in shapes.items() if not spec.is_fresh(name)}
    assert body == {
        name: tuple(value.shape) for name, value in reference.items() if not name.startswith(("fc.", "classifier."))
    }
    fresh = [(path, module) for path, module in model.named_modules() if path and spec.is_fresh(f"{path}.weight")]
    weighted = [(type(m).__name__, *reversed(m.weight.shape[:2])) for _, m in fresh if hasattr(m, "weight")]
    assert weighted == head
    rectifiers = [m for path, m in fresh if "ReLU" in type(m).__name__]
    assert len(rectifiers) == len(head) - 1
    assert all(type(m) is nn.LeakyReLU for m in rectifiers)


@pytest.mark.parametrize("architecture", DEEPER)
def test_the_depth_test_adds_its_layers_before_alexnet(architecture, skeleton):
    model = skeleton(architecture)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    added = convolutions[: DEEPER[architecture]]
    assert len(convolutions) == 5 + int(architecture[-1])
    assert all((m.in_channels, m.out_channels, m.kernel_size, m.dilation) == (3, 3, (3, 3), (2, 2)) for m in added)
    assert convolutions[len(added)].out_channels == 64
    assert model.extra(torch.zeros(1, 3, 20, 17)).shape == (1, 3, 20, 17)


def test_a_deepened_alexnet_computes_what_alexnet_does():
    model = build("alexnet", n_outputs=3).eval()
    deeper = build("alexnet+3", n_outputs=3, seed=1).eval()
    deeper.load_state_dict(deepened(model.state_dict(), 3))
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(deeper(images), model(images), atol=1e-5)


def test_evaluating_gives_every_mode_back_after_an_error():
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout()).train()
    model[0].eval()

    def fail():
        with evaluating(model):
            assert not model.training
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (model.training, model[0].training, model[1].training) == (True, False, True)


def test_unknown_architecture_suggests_the_nearest():
    with pytest.raises(SaltrustError, match="did you mean 'inception_v3'"):
        build("inceptionv3")
    with pytest.raises(SaltrustError, match="did you mean 'densenet121'"):
        imagenet_weights("densenet12")


@pytest.fixture
def weights_folder(tmp_path, monkeypatch):
    """A folder of ImageNet weights as torchvision distributes them, and no network."""
    monkeypatch.setenv("SALTRUST_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(classifiers, "_download", lambda url, target: None)
    return tmp_path


def imagenet_densenet(name: str = "densenet121") -> nn.Module:
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    return model


@pytest.mark.parametrize("architecture", ["densenet121", "densenet169"])
def test_densenet_weights_give_what_torchvision_computes_from_its_own_input(architecture, weights_folder):
    """The checkpoint's old names, and the ImageNet normalization folded into the first block."""
    reference = imagenet_densenet(architecture).eval()
    old = {
        name.replace("norm1", "norm.1").replace("norm2", "norm.2").replace("conv1", "conv.1").replace("conv2", "conv.2")
        if "denselayer" in name
        else name: value
        for name, value in reference.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    torch.save(old, weights_folder / f"{architecture}.pth")
    path = imagenet_weights(architecture)
    assert path == weights_folder / f"{architecture}.pth"
    model = build(architecture, pretrained=path).eval()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mean, sd = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalized = (images - mean.view(3, 1, 1)) / sd.view(3, 1, 1)
    with torch.no_grad():
        expected = reference.features.norm0(reference.features.conv0(normalized))
        found = model.features.norm0(model.features.conv0(images * 2 - 1))
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))  # the border sees the zero padding
    assert torch.allclose(found[inner], expected[inner], atol=1e-4)
    assert torch.equal(model.features.norm5.weight, reference.features.norm5.weight)


def test_inception_weights_fill_all_but_the_head(weights_folder):
    reference = torchvision.models.inception_v3(weights=None, aux_logits=True, init_weights=False)
    torch.save(reference.state_dict(), weights_folder / "inception_v3.pth")
    model = build("inception_v3", pretrained=imagenet_weights("inception_v3"), seed=1)
    fresh = build("inception_v3", seed=1)
    filled = reference.state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(value, (fresh.state_dict() if name.startswith("fc.") else filled)[name]), name


@pytest.mark.parametrize("architecture", ["resnet34", "alexnet+1"])
def test_weights_of_the_second_paper_s_networks_load_as_they_are(architecture, weights_folder):
    body = ARCHITECTURES[architecture].body or architecture
    torch.manual_seed(0)
    reference = getattr(torchvision.models, body)(weights=None).state_dict()
    torch.save(reference, weights_folder / f"{body}.pth")
    filled = build(architecture, 10, pretrained=imagenet_weights(architecture), seed=1).state_dict()
    fresh = build(architecture, 10, seed=1).state_dict()
    spec = ARCHITECTURES[architecture]
    assert sum(not spec.is_fresh(name) for name in filled) == {"resnet34": 216, "alexnet": 10}[body]
    for name, value in filled.items():
        assert torch.equal(value, (fresh if spec.is_fresh(name) else reference)[name]), name


def test_weights_of_another_architecture_are_refused(weights_folder):
    path = weights_folder / "inception_v3.pth"
    torch.save(imagenet_densenet().state_dict(), path)
    with pytest.raises(SaltrustError, match=r"inception_v3\.pth does not hold weights of inception_v3: 470 of 470"):
        build("inception_v3", pretrained=imagenet_weights("inception_v3"))


def test_weights_of_another_shape_are_refused(weights_folder):
    state = imagenet_densenet().state_dict()
    state["features.norm5.weight"] = torch.ones(3)
    torch.save(state, weights_folder / "densenet121.pth")
    with pytest.raises(SaltrustError, match="1 of 604 tensors are missing or of another shape.*features.norm5.weight"):
        build("densenet121", pretrained=imagenet_weights("densenet121"))


def test_a_file_that_is_no_checkpoint_is_refused(weights_folder):
    path = weights_folder / "densenet121.pth"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(SaltrustError, match=r"densenet121\.pth is not a file of DenseNet121 weights"):
        build("densenet121", pretrained=path)


def test_no_file_and_no_network_is_none(weights_folder):
    assert imagenet_weights("inception_v3") is None


def test_a_localizer_s_body_has_its_weights_in_the_same_folder(weights_folder):
    assert imagenet_weights("resnet101") is None
    classifiers._find_weights.cache_clear()
    (weights_folder / "resnet101.pth").write_bytes(b"weights")
    assert imagenet_weights("resnet101") == weights_folder / "resnet101.pth"


def test_a_weights_folder_that_is_not_there_is_an_error(weights_folder, monkeypatch):
    monkeypatch.setenv("SALTRUST_WEIGHTS", str(weights_folder / "nowhere"))
    with pytest.raises(SaltrustError, match="SALTRUST_WEIGHTS = .*nowhere is not a folder"):
        imagenet_weights("inception_v3")


CONTENT = bytes(range(256)) * 8000  # more than is read at once
DIGITS = hashlib.sha256(CONTENT).hexdigest()[:8]


@pytest.fixture
def server():
    """Address of a server that sends CONTENT under any name: whole, or half of it under "cut", or nothing of it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(404 if "absent" in self.path else 200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[: len(CONTENT) // 2] if "cut" in self.path else CONTENT)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def at(server, tmp_path, monkeypatch):
    """at(name): what is found of weights that torchvision has at the server under that name; nothing is there yet."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def find(name: str, local: Path | None = None, address: str = server):
        entry = SimpleNamespace(DEFAULT=SimpleNamespace(url=f"{address}/models/{name}"))
        monkeypatch.setattr(torchvision.models, "get_model_weights", lambda architecture: entry)
        return classifiers._find_weights.__wrapped__("net", local and str(local))

    find.cache = tmp_path / "hub" / "checkpoints"
    return find


def test_weights_are_fetched_once_into_torch_s_cache(at):
    path = at(f"net-{DIGITS}.pth")
    assert path == at.cache / f"net-{DIGITS}.pth"
    assert path.read_bytes() == CONTENT
    assert at(f"net-{DIGITS}.pth", address="http://127.0.0.1:1") == path
    assert provenance(path) == {
        "weights": "imagenet",
        "weights_file": f"net-{DIGITS}.pth",
        "weights_sha256": hashlib.sha256(CONTENT).hexdigest()[:16],
    }
    assert provenance(None) == {"weights": "scratch"}


@pytest.mark.parametrize("name", ["net-00000000.pth", f"cut-{DIGITS}.pth"])
def test_a_download_that_is_not_the_file_is_an_error_and_leaves_nothing(name, at):
    digits = name[4:12]
    message = rf"{name} should have a SHA-256 that begins with {digits}, not .*: the download from http.*is broken"
    with pytest.raises(SaltrustError, match=message):
        at(name)
    assert list(at.cache.iterdir()) == []


def test_a_download_that_is_reset_is_an_error_and_leaves_nothing(at, monkeypatch):
    class Reset(io.BytesIO):
        def read(self, size):
            if self.tell():
                raise ConnectionResetError("reset by peer")
            return super().read(size)

    monkeypatch.setattr(classifiers.urllib.request, "urlopen", lambda url, timeout: Reset(CONTENT))
    with pytest.raises(SaltrustError, match="the download of .* broke off: reset by peer; try again, or put the file"):
        at(f"net-{DIGITS}.pth")
    assert list(at.cache.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_an_error(at):
    at.cache.parent.mkdir()
    at.cache.write_text("a file in the folder's place")
    with pytest.raises(SaltrustError, match="broke off: .*File exists"):
        at(f"net-{DIGITS}.pth")


def test_no_network_or_no_such_file_there_is_none_and_says_why(at, server, monkeypatch):
    said = []
    monkeypatch.setattr(classifiers, "say", said.append)
    assert at(f"absent-{DIGITS}.pth") is None
    assert at(f"net-{DIGITS}.pth", address="http://127.0.0.1:1") is None
    assert ["404" in said[0], "refused" in said[1]] == [True, True]
    assert not at.cache.exists()


def test_a_local_file_must_be_what_its_name_says(at, tmp_path):
    file, folder = f"net-{DIGITS}.pth", tmp_path / "weights"
    folder.mkdir()
    (folder / file).write_bytes(CONTENT)
    assert at(file, folder) == folder / file
    (folder / file).write_bytes(CONTENT[:-1])
    found = hashlib.sha256(CONTENT[:-1]).hexdigest()[:8]
    message = rf"weights/{file} should have a SHA-256 that begins with {DIGITS}, not {found}: delete it, or put"
    with pytest.raises(SaltrustError, match=message):
        at(file, folder)


def test_a_damaged_file_in_torch_s_cache_is_refused(at):
    at.cache.mkdir(parents=True)
    (at.cache / f"net-{DIGITS}.pth").write_bytes(b"")
    with pytest.raises(SaltrustError, match=r"checkpoints/net-.*\.pth should have a SHA-256"):
        at(f"net-{DIGITS}.pth")


def test_a_local_file_under_the_plain_name_is_taken_as_it_is(at, tmp_path):
    (tmp_path / "net.pth").write_bytes(b"weights of one's own")
    assert at(f"net-{DIGITS}.pth", tmp_path) == tmp_path / "net.pth"
