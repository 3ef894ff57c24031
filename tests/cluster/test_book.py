"""A book built by jobs of Slurm, one of whose nodes fails half-way, is the book that one machine builds."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from saltrust import chapters
from saltrust.artefacts import KINDS, STAGES
from saltrust.core import data_cards, paths
from tests.cluster.slurm import Slurm, missing

pytestmark = pytest.mark.cluster

DATASETS = ("phantom-pneumothorax", "phantom-pneumonia")  # in smoke all that one of them lacks is one job
CHAPTERS = {(dataset, name) for dataset in DATASETS for name in chapters.of(data_cards.load(dataset))}
ONE_THREAD = "--set-threads chapter=1 everything=1"  # as with other numbers of threads the last bits differ
TIMED = {f"libraries/{name}" for name in ("median_ratio", "slowest", "slowest_ratio")}  # seconds, beside others
CLUSTER = f"{ONE_THREAD} --slurm-init-seconds-before-status-checks 5"
SOME = 200  # of more than a thousand artefacts
HOUR = 3600.0


@pytest.fixture(scope="module", autouse=True)
def _installed():
    if message := missing():
        pytest.fail(message, pytrace=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy of the project, as a book is built inside it."""
    copy = tmp_path_factory.mktemp("project")
    listed = ["git", "-C", str(paths.PROJECT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, capture_output=True, text=True, check=True).stdout.strip("\0").split("\0"):
        if (paths.PROJECT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(paths.PROJECT / name, copy / name)  # with its time, for make
    (copy / ".venv").symlink_to((paths.PROJECT / ".venv").resolve())
    return copy


@pytest.fixture(scope="module")
def local(project, tmp_path_factory) -> Path:
    """Results of the book as one machine makes it."""
    results = tmp_path_factory.mktemp("local")
    _Make(project, results, {}, f"OPTIONS={ONE_THREAD}").wait()
    return results


def test_numbers_are_those_of_one_machine_though_a_node_failed(project, local, tmp_path):
    results = tmp_path / "results"
    (tmp_path / "slurm").mkdir()
    with Slurm(tmp_path / "slurm") as slurm:
        make = _Make(project, results, slurm.environment, "EXECUTOR=slurm", f"OPTIONS={CLUSTER}")
        make.until(lambda: all(slurm.running(node, "compute") for node in slurm.nodes) and _stored(results) > SOME)
        assert not _chapters(results)
        assert slurm.cut("d1") > 1
        make.until(lambda: slurm.finished() != [])
        slurm.start("d1")
        make.wait()
        executions = slurm.finished()

    assert _chapters(results) == CHAPTERS
    assert (project / "book/_build/html/index.html").stat().st_mtime > make.started
    # The job that was cut short ran again, under its own number; both nodes finished some.
    cut, completed = ([one for one in executions if one["JobState"] == state] for state in ("NODE_FAIL", "COMPLETED"))
    assert [one["NodeList"] for one in cut] == ["d1"]
    assert cut[0]["JobId"] in {one["JobId"] for one in completed}
    assert {one["NodeList"] for one in completed} == {"d1", "d2"}
    assert len(completed) == len(DATASETS) + len(CHAPTERS)
    # The chapters only read: all but scores was made before the two jobs, which came first, had ended.
    first = sorted(completed, key=lambda one: int(one["JobId"]))[: len(DATASETS)]
    assert _last_made(results) <= max(datetime.fromisoformat(one["EndTime"]) for one in first)
    assert _numbers(results) == _numbers(local)  # to the last bit


class _Make:
    """`make book` in the background, its output in a file."""

    def __init__(self, project: Path, results: Path, environment: dict[str, str], *variables: str):
        places = {
            "SALTRUST_PROJECT": str(project),
            "SALTRUST_RESULTS": str(results),
            "PYTHONPATH": str(project / "src"),
        }
        self.started = time.time()
        self.log = results.with_suffix(".log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                ["make", "book", "PROFILE=smoke", f"DATASETS={' '.join(DATASETS)}", *variables],
                cwd=project,
                env=os.environ | environment | places,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(1)

    def wait(self) -> None:
        assert self.process.wait(HOUR) == 0, self.log.read_text()


def _chapters(results: Path) -> set[tuple[str, str]]:
    return {(file.parts[-3], file.stem) for file in (results / "smoke").glob("*/notebooks/*.ipynb")}


def _stored(results: Path) -> int:
    return sum(1 for _ in (results / "store").glob("*/*/sidecar.json"))


def _last_made(results: Path) -> datetime:
    """When the last network or map was made, in local time, as Slurm has it."""
    kinds = [kind for kind, what in KINDS.items() if what.stage != STAGES[-1]]
    notes = [
        json.loads(file.read_text()) for kind in kinds for file in (results / "store" / kind).glob("*/sidecar.json")
    ]
    return max(datetime.fromisoformat(note["made"]) for note in notes).astimezone().replace(tzinfo=None)


def _numbers(results: Path) -> dict[str, dict[str, object]]:
    read = {name: json.loads((results / "smoke" / name / "numbers.json").read_text()) for name in DATASETS}
    return {name: {k: v for k, v in numbers.items() if k not in TIMED} for name, numbers in read.items()}
