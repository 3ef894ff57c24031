"""The same specs give the same numbers: in two fresh folders, with another hash seed, by command or by hand.

The number of threads decides in which order a sum is taken, and so its last bits. A network is the same to the bit with
any number, since it is trained on one thread; what is scored from given maps is the same too. In between, a map is a
gradient of a network that is linear but for its ReLUs and its max pooling. Two runs make the same map up to rounding as
long as these decide alike. Where one was within rounding of deciding otherwise, the gradient jumps: of two million
units of a DenseNet one that switched moved a map by 1.6 % of its maximum. No tolerance on a score follows from that, so
the tests ask of each map whether a unit switched, and if so, whether it was near enough to.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import nbclient
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from saltrust.artefacts.data import ImageSet
from saltrust.artefacts.networks import Classifier, TrainedLocalizer
from saltrust.artefacts.scores import LocalizationScores
from saltrust.artefacts.sidecar import SIDECAR
from saltrust.artefacts.store import Store
from saltrust.core import paths
from saltrust.methods.cam_layers import choose_cam_layer
from saltrust.methods.explained import Explained
from saltrust.methods.registry import METHODS
from saltrust.models.classifiers import to_input
from saltrust.study.study import Study

SALTRUST = Path(sys.executable).with_name("saltrust")
DATASET = "phantom-pneumothorax"
CHAPTERS = (
    "localization",
    "repeatability",
)  # training, localizers, maps of all families, scores, surrogates, resampling
GIVEN = {"dataset": DATASET, "profile": "smoke", "methods": "smoothgrad,lrp,gradcam,xrai", "n_boot": "50"}


def environment(results: Path, threads: int, hash_seed: int) -> dict[str, str]:
    return os.environ | {
        "SALTRUST_RESULTS": str(results),
        "PYTHONHASHSEED": str(hash_seed),
        # Threads that wait for others sleep rather than spin: on a busy machine that is many times as fast.
        **{"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "GOMP_SPINCOUNT": "0"},
    }


def publish(results: Path, threads: int, hash_seed: int, chapters: tuple[str, ...] = CHAPTERS) -> Path:
    """Folder of what the chapters left."""
    for chapter in chapters:
        given = [f"--{name.replace('_', '-')}={value}" for name, value in GIVEN.items()]
        subprocess.run(
            [SALTRUST, "publish", chapter, *given],
            env=environment(results, threads, hash_seed),
            check=True,
            capture_output=True,
        )
    return results / "smoke" / DATASET


def run_all(results: Path, threads: int, hash_seed: int) -> list[Path]:
    """As a reader does in JupyterLab: open the notebook, change its parameters, run all cells; the folders of what the
    chapters left."""
    for chapter in CHAPTERS:
        notebook = jupytext.read(paths.CHAPTERS / f"{chapter}.py")
        (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
        for name, value in GIVEN.items():
            plain = value if name == "n_boot" else json.dumps(value)
            cell.source, found = re.subn(rf"(?m)^{name} = \S+", f"{name} = {plain}", cell.source)
            assert found == 1
        client = nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(paths.CHAPTERS)}})
        client.execute(env=environment(results, threads, hash_seed))
    return [results / "by_hand" / "smoke" / DATASET / chapter for chapter in CHAPTERS]


def numbers(*folders: Path) -> dict:
    return {
        key: value for folder in folders for key, value in json.loads((folder / "numbers.json").read_text()).items()
    }


def shown(*folders: Path) -> dict[str, bytes]:
    """Figures and tables, by name."""
    return {
        file.name: file.read_bytes()
        for folder in folders
        for file in folder.rglob("*")
        if file.suffix in (".png", ".csv")
    }


def stored(results: Path) -> dict[str, dict[str, str]]:
    """Checksums of every stored artefact's files, but of records: those say how long a training took."""
    notes = {file.parent: json.loads(file.read_text()) for file in (results / "store").glob(f"[!.]*/[!.]*/{SIDECAR}")}
    return {
        folder.relative_to(results).as_posix(): {
            name: checksum for name, checksum in note["checksums"].items() if name != "record.json"
        }
        for folder, note in notes.items()
    }


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The results folder of one thread, and the folder in it of what its chapters left."""
    results = tmp_path_factory.mktemp("one")
    return results, publish(results, threads=1, hash_seed=1)


def test_by_command_and_by_hand_in_two_fresh_folders_every_bit_is_the_same(published, tmp_path):
    results, page = published
    by_hand = run_all(tmp_path, threads=1, hash_seed=2)
    assert stored(tmp_path) == stored(results)
    assert numbers(*by_hand) == numbers(page)
    assert shown(*by_hand) == shown(page)
    for folder in by_hand:
        note = json.loads((folder / "provenance.json").read_text())
        published = json.loads((page / "provenance" / f"{folder.name}.json").read_text())
        assert note["parameters"] == published["parameters"]  # so that the two can be compared


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_another_number_of_threads_trains_the_same_networks(published, threads, tmp_path):
    threads(2)
    study = Study(DATASET, "smoke", store=Store(tmp_path / "store"))
    study.networks.trained()
    study.networks.localizer()
    mine, theirs = stored(published[0]), stored(tmp_path)
    assert {Path(name).parts[1] for name in theirs} == {ImageSet.kind, Classifier.kind, TrainedLocalizer.kind}
    assert theirs == {name: mine[name] for name in theirs}


def test_another_number_of_threads_scores_the_same_maps_alike(published, tmp_path):
    results, page = published
    shutil.copytree(results / "store", tmp_path / "store", ignore=shutil.ignore_patterns(LocalizationScores.kind))
    other = publish(tmp_path, threads=2, hash_seed=3, chapters=CHAPTERS[:1])
    mine, theirs = stored(results), stored(tmp_path)
    assert any(Path(name).parts[1] == LocalizationScores.kind for name in theirs)
    assert theirs == {name: mine[name] for name in theirs}
    pictures, quoted = shown(page), numbers(page)
    assert shown(other) == {name: pictures[name] for name in shown(other)}
    assert numbers(other) == {name: quoted[name] for name in numbers(other)}


class Decisions(TorchFunctionMode):
    """What a network decides while it runs: which units a ReLU lets pass, which position a max pooling takes.

    made: for each call the values (n, c, rows, columns) that were decided on, and the choice.
    """

    def __init__(self):
        super().__init__()
        self.made = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (functional.relu, torch.relu, torch.relu_):
            values = args[0].detach().clone()  # the ReLU may work in place
            self.made.append((values, values > 0))
        elif func == functional.max_pool2d:
            values = args[0].detach()
            self.made.append((values, func(values, *args[1:], **kwargs | {"return_indices": True})[1]))
        return func(*args, **kwargs)

    def margins(self, other: "Decisions") -> list[float]:
        """For each call that decided otherwise: by how much a decision was the better one, at most, as a share of the
        largest value that was decided on."""
        margins = []
        for (values, choice), (_, others) in zip(self.made, other.made, strict=True):
            switched = choice != others
            if choice.dtype == torch.bool:
                gain = values.abs()
            else:
                flat = values.flatten(2)
                gain = flat.gather(2, choice.flatten(2)) - flat.gather(2, others.flatten(2))
                switched = switched.flatten(2)
            if switched.any():
                margins.append(float(gain[switched].abs().max() / values.abs().max()))
        return margins


def terms(explained: Explained, method: str, image: torch.Tensor, values: torch.Tensor) -> float:
    """The largest value that a map would have if nothing in its last sum cancelled. Rounding is relative to that: a
    Grad-CAM may be what a ReLU leaves of large terms of both signs, and then is itself near zero."""
    if method != "gradcam":
        return float(values.abs().max())
    activations, gradients = explained.activations(image)
    return float((gradients.mean((2, 3), keepdim=True) * activations).abs().sum(1).max())


@pytest.mark.parametrize("method", ["grad", "smoothgrad", "gradcam"])
@pytest.mark.parametrize("role", ["main", "other"])
def test_another_number_of_threads_moves_a_map_by_rounding_unless_a_unit_switches(published, threads, role, method):
    """Of layers that sum K products each, L in a row are off by L sqrt(K) times the unit roundoff: errors of sums are
    random walks (Higham & Mary 2019, SIAM J. Sci. Comput. 41, A2815), and what one layer adds the next passes on.
    A gradient goes through them twice. Measured: 3e-6 of a layer's largest value, 3e-6 of a map's."""
    study = Study(DATASET, "smoke", store=Store(published[0] / "store"))
    spec = study.maps.artefact(method, getattr(study.networks, role))
    network = spec.model.network(study.store.get)
    weights = [module.weight for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    rounding = len(weights) * max(weight[0].numel() for weight in weights) ** 0.5 * torch.finfo(torch.float32).eps / 2
    assert rounding < 1e-3

    blocks = [module for stage in spec.model.stages for module in stage.modules]
    layer = choose_cam_layer(network, blocks, spec.model.test.size, spec.cam_min_grid)
    explained = Explained(network, spec.scalar, cam_layer=layer, input_range=spec.model.input_range)
    images = to_input(study.images.split("test").pixels[list(study.images.explained)], explained.input_range)
    alike = 0
    for image, index in zip(images.split(1), study.images.explained, strict=True):
        maps, decisions = [], []
        for number in (1, 2):
            threads(number)
            with Decisions() as made:
                maps.append(METHODS[method].function(explained, image, [(index,)], **spec.parameters))
            assert {choice.dtype for _, choice in made.made} == {torch.bool, torch.int64}  # ReLUs and poolings
            decisions.append(made)
        margins = decisions[0].margins(decisions[1])
        assert all(margin <= rounding for margin in margins)
        if not margins:
            alike += 1
            scale = terms(explained, method, image, maps[0])
            assert float((maps[0] - maps[1]).abs().max()) <= 2 * rounding * scale
    assert alike
