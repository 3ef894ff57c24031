"""Processes that are asked to end, or killed, at chosen moments: one line, its exit code, and nothing is left.

A request comes from the process itself: just before something that the case names is done. So no test waits for a
moment to come, or misses it.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from saltrust.chapters import kernel
from saltrust.core import paths, scratch
from saltrust.core.interruption import Interrupted, interruptible

pytestmark = pytest.mark.usefixtures("heard")

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
SAID = f"saltrust: {Interrupted()}\n"
CHAPTER = """# %% [markdown]
# # Made up

# %% tags=["parameters"]
dataset = "phantom-pneumothorax"  # data set: a card
profile = "smoke"  # profile: size

# %%
import os, signal, time
from pathlib import Path

"""
QUIET = 'print("nothing to say")'
SLEEP = "time.sleep(100)"
FROM_CELL = f"os.kill(os.getppid(), {{request}})\n{SLEEP}"
AGAIN = f"""
try:
    os.kill(os.getppid(), {{request}})
    {SLEEP}
except KeyboardInterrupt:
    time.sleep(1.2)
    os.kill(os.getppid(), {{request}})
    {SLEEP}
"""
PUT_ASIDE = f"""
try:
    os.kill(os.getppid(), {{request}})
    {SLEEP}
except KeyboardInterrupt:
    Path(os.environ["KEPT"]).touch()
    raise
"""

ON_IMPORT = """
import os, sys
class Finder:
    def find_spec(name, *rest):
        if name == "{name}":
            sys.meta_path.remove(Finder)
            os.kill(os.getpid(), {request})
sys.meta_path.insert(0, Finder)
"""
BEFORE = """
import os
import {module} as module
meant = module.{name}
def planted(*given, **named):
    module.{name} = meant
    os.kill(os.getpid(), {request})
    return meant(*given, **named)
module.{name} = planted
"""


def before(what: str) -> str:
    module, _, name = what.rpartition(".")
    return BEFORE.replace("{module}", module).replace("{name}", name)


def on_import(name: str) -> str:
    return ON_IMPORT.replace("{name}", name)


RUN, PUBLISH, COMPUTE = (
    ["run", "dataset"],
    ["publish", "dataset"],
    ["compute", "--dataset", "phantom-pneumonia", "--profile", "smoke"],
)
MOMENTS = {
    "while the commands are imported": (["chapters"], on_import("saltrust.cli.chapters"), QUIET),
    "while a command imports what it needs": (RUN, on_import("papermill"), QUIET),
    "before the folder of a run is made": (RUN, before("saltrust.chapters.results_folder._held"), QUIET),
    "before the kernel starts": (RUN, before("jupyter_client.provisioning.local_provisioner.launch_kernel"), QUIET),
    "while a cell runs": (RUN, "", FROM_CELL),
    "while a cell of the book's chapter runs": (PUBLISH, "", FROM_CELL),
    "while a cell runs, and again while it puts aside what it has": (RUN, "", AGAIN),
    "before the page is written": (RUN, before("saltrust.publishing.html.write"), QUIET),
    "before artefacts are computed": (COMPUTE, before("saltrust.cli.planning.of_book"), QUIET),
    "before a plan is made": (["plan", "dataset"], before("saltrust.cli.planning.plan"), QUIET),
    "before the book is rendered": (["book"], before("saltrust.publishing.assemble.assemble"), QUIET),
}
EARLY = "while the commands are imported", "while a command imports what it needs"
REQUESTS = {
    f"{request.name} {moment}": (request, *MOMENTS[moment])
    for number, moment in enumerate(MOMENTS)
    # Each moment by one request, in turn; those that are cheap, and that of a cell, by all.
    for request in (CODES if moment in (*EARLY, "while a cell runs") else [[*CODES][number % 3]])
}


@pytest.fixture
def project(tmp_path):
    """A project of one chapter whose code is given, in an environment of its own; returns that."""

    def make(code: str) -> dict[str, str]:
        (tmp_path / "notebooks").mkdir()
        (tmp_path / "temporary").symlink_to(short)
        (tmp_path / "notebooks" / "dataset.py").write_text(f"{CHAPTER}{code}\n")
        (tmp_path / "data_cards").symlink_to(paths.PROJECT / "data_cards")
        (tmp_path / "book").symlink_to(paths.PROJECT / "book")
        places = {"SALTRUST_PROJECT": "", "SALTRUST_RESULTS": "results", "KEPT": "kept"}
        return os.environ | {name: str(tmp_path / place) for name, place in places.items()} | {"TMPDIR": short}

    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # else sockets would lie elsewhere
        yield make


def start(words: list[str], environment: dict[str, str], plant: str = "") -> subprocess.Popen:
    code = f"import sys\nsys.argv = ['saltrust', *{words!r}]\nfrom saltrust import __main__\n{plant}\n__main__.main()"
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, start_new_session=True, **piped)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def alive(environment: dict[str, str]) -> list[str]:
    """Processes whose environment names the folder of the test."""
    mine = f"KEPT={environment['KEPT']}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mine in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_text())
        except OSError:  # ended meanwhile, or another user's
            continue
    return found


def wait_until_none_is_alive(environment: dict[str, str]) -> None:
    for _ in range(600):
        if not alive(environment):
            return
        time.sleep(0.1)
    raise AssertionError(alive(environment))


@pytest.mark.parametrize("case", REQUESTS.values(), ids=REQUESTS)
def test_a_request_to_end_is_answered_in_one_line_and_nothing_is_left(case, project, tmp_path):
    request, words, plant, code = case
    number = str(int(request))
    environment = project(code.replace("{request}", number))
    process = start(words, environment, plant.replace("{request}", number))
    out, said = process.communicate(timeout=300)
    told = [line for line in said.splitlines(keepends=True) if " dataset: done in " not in line]
    assert (process.returncode, out, told) == (CODES[request], "", [SAID])
    wait_until_none_is_alive(environment)
    assert files(tmp_path / "temporary") == set()
    assert all(name.startswith("store/.locks/") for name in files(tmp_path / "results"))


def test_what_is_interrupted_may_put_aside_what_it_has(project, tmp_path):
    environment = project(PUT_ASIDE.replace("{request}", str(int(signal.SIGTERM))))
    process = start(RUN, environment)
    assert process.communicate(timeout=300) == ("", SAID)
    assert (tmp_path / "kept").exists()


DEATHS = {
    "a kernel that is killed for its memory": ("os.kill(os.getpid(), 9)", "was killed (SIGKILL), as a system does"),
    "a kernel that is asked to end": ("os.kill(os.getpid(), 15)", "died (SIGTERM)"),
    "a kernel that crashes": ("os.kill(os.getpid(), 11)", "died (SIGSEGV)"),
    "a kernel that ends itself": ("os._exit(3)", "died (exit code 3)"),
}


@pytest.mark.parametrize("case", DEATHS.values(), ids=DEATHS)
def test_a_kernel_that_dies_is_told_in_one_line(case, project, tmp_path):
    code, why = case
    environment = project(code)
    process = start(RUN, environment)
    out, said = process.communicate(timeout=300)
    (line,) = said.splitlines()
    assert (process.returncode, out) == (2, "")
    assert line.startswith("saltrust: phantom-pneumothorax dataset failed in dataset.py, cell 3: its kernel ")
    assert why in line
    assert {Path(name).name for name in files(tmp_path / "results")} == {"dataset.ipynb", "dataset.py"}
    assert files(tmp_path / "temporary") == set()


def test_what_a_killed_process_leaves_is_listed_and_collected(project, tmp_path):
    environment = project("os.kill(os.getppid(), 9)\ntime.sleep(100)")
    process = start(RUN, environment)
    process.communicate(timeout=300)
    assert process.returncode == -9
    wait_until_none_is_alive(environment)  # the kernel sees that nobody is there to speak to
    left = [*(tmp_path / "temporary").iterdir(), *(tmp_path / "results" / "runs" / "dataset").iterdir()]
    assert len(left) == 3  # sockets, progress, the run
    for path in [inner for folder in left for inner in (*folder.rglob("*"), folder)]:
        os.utime(path, (1e9, 1e9))
    for words, there in ((["ls"], True), (["gc", "--delete"], False)):
        process = start(
            ["store", *words], environment, f"import saltrust.core.scratch as s; s.SHORT = {str(tmp_path)!r}"
        )
        out, said = process.communicate(timeout=300)
        assert (process.returncode, said) == (0, "")
        assert "(chapter)            1" in out
        assert "(temporary)          2" in out
        assert all(folder.exists() for folder in left) == there
    assert not any(folder.exists() for folder in left)


# --- a kernel and the thread that speaks to it, without Jupyter -------------------------------------------------------


class Spoken:
    """What Papermill would do: a process that sleeps, and the thread that waits for it. deaf: to SIGINT."""

    def __init__(self, deaf: bool):
        ignore = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); " if deaf else ""
        self.code = f"{ignore}print(flush=True); import time; time.sleep(100)"
        self.kernel, self.begun = kernel.Kernel(), False

    def __call__(self) -> None:
        piped = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen([sys.executable, "-c", self.code], start_new_session=True, **piped)
        process.stdout.read(1)
        self.kernel._process, self.kernel.cells, self.kernel._sent = process, 1, time.monotonic()
        os.kill(os.getpid(), self.request)
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("deaf", [False, True], ids=["a kernel that listens", "a kernel that does not"])
@pytest.mark.parametrize("request_to_end", CODES, ids=[request.name for request in CODES])
def test_a_kernel_is_interrupted_and_in_the_end_killed(request_to_end, deaf, monkeypatch):
    monkeypatch.setattr(kernel, "PATIENCE", 0.3 if deaf else 60.0)
    spoken = Spoken(deaf)
    spoken.request = request_to_end
    with pytest.raises(Interrupted) as raised, interruptible():
        spoken.kernel.run(spoken)
    assert raised.value.exit_code == CODES[request_to_end]
    assert spoken.kernel._process.poll() == (-signal.SIGKILL if deaf else -signal.SIGINT)


CASES = REQUESTS | DEATHS


def test_scratch_folders_are_named_as_they_are_looked_for():
    with scratch.folder() as made:
        assert made in scratch.folders()
