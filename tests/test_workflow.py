"""How the cores of a machine are shared, and what the workflow would run."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from saltrust import chapters
from saltrust.core import data_cards, paths

sys.path.insert(0, str(paths.PROJECT / "workflow"))
import cores


@pytest.mark.parametrize(
    ("jobs", "makeflags", "expected"),
    [
        ("", "", None),
        ("", " -j", None),
        ("", " -j3 --jobserver-auth=3,4", 3),
        ("", "ks -j3 --jobserver-auth=3,4 -- P=a=1\\ -j9", 3),
        ("", " -- P=-j9", None),
        ("5", " -j3 --jobserver-auth=3,4 -- JOBS=5", 5),
    ],
)
def test_what_the_user_asked_make_for(jobs, makeflags, expected):
    assert cores.asked(jobs, makeflags) == expected


def test_threads_never_exceed_the_cores():
    for available in range(1, 70):
        for jobs in (None, *range(1, 80)):
            for datasets in range(1, 5):
                side_by_side, threads = cores.shared(available, jobs, datasets)
                assert side_by_side >= 1
                assert threads >= 1
                assert side_by_side * threads <= available
                assert side_by_side <= (jobs or datasets)
    assert cores.shared(8, None, 2) == (2, 4)
    assert cores.shared(8, 3, 2) == (3, 2)


def test_cores_are_those_the_process_may_use(tmp_path, monkeypatch):
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda process: set(range(6)), raising=False)
    assert cores.available(quota) == 6
    for text, expected in (("max 100000", 6), ("250000 100000", 2), ("50000 100000", 1), ("900000 100000", 6)):
        quota.write_text(text + "\n")
        assert cores.available(quota) == expected


def test_memory_is_that_of_the_machine_or_of_the_container(tmp_path):
    limit = tmp_path / "memory.max"
    installed = cores.memory(limit)
    assert 1e8 < installed < 1e15
    for text, expected in (("max", installed), ("50000000", 5e7), (str(10**17), installed)):
        limit.write_text(text + "\n")
        assert cores.memory(limit) == expected


@pytest.mark.parametrize(
    ("available", "datasets", "gigabytes", "expected"),
    [
        (2, 0, 24, 2),
        (2, 2, 24, 0),
        (2, 1, 24, 2),
        (3, 2, 24, 0),
        (8, 2, 24, 4),
        (8, 2, 16, 2),
        (16, 1, 16, 5),
        (16, 1, 4, 0),
        (1, 1, 64, 0),
        (64, 5, math.inf, 12),
    ],
)
def test_workers_fill_the_cores_that_the_memory_allows(available, datasets, gigabytes, expected):
    assert cores.workers(available, datasets, gigabytes * 1e9, gpu=False) == expected
    assert cores.workers(available, datasets, gigabytes * 1e9, gpu=True) == 0


@pytest.mark.parametrize(
    ("jobs", "workers", "makeflags", "expected"),
    [
        ("", "", "", "8 1 4"),
        ("", "0", "", "2 4 0"),
        ("", "7", "", "8 1 7"),
        ("1", "", "", "1 8 4"),
        ("3", "0", "", "3 2 0"),
        ("", "", " -j4", "4 2 4"),
    ],
)
def test_what_make_is_told(jobs, workers, makeflags, expected, monkeypatch, capsys):
    """On a machine of eight cores and 64 GB, for two data sets."""
    monkeypatch.setenv("MAKEFLAGS", makeflags)
    monkeypatch.setattr(cores, "available", lambda: 8)
    monkeypatch.setattr(cores, "memory", lambda: 64e9)
    monkeypatch.setattr(cores, "GPU", Path("/no such device"))
    cores.main(jobs, workers, "a", "b")
    assert capsys.readouterr().out == f"{expected}\n"


@pytest.mark.parametrize(
    ("jobs", "workers", "message"),
    [
        ("x", "", "JOBS=x"),
        ("1.5", "", "JOBS=1.5"),
        ("0", "", "JOBS=0"),
        ("", "-2", "WORKERS=-2"),
        ("", "x", "WORKERS=x"),
    ],
)
def test_no_number_is_refused_in_one_line(jobs, workers, message):
    script = paths.PROJECT / "workflow" / "cores.py"
    done = subprocess.run([sys.executable, script, jobs, workers, "a"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{message}: must be a whole number, ")
    assert done.stderr.count("\n") == 1


def test_make_can_read_it():
    script = paths.PROJECT / "workflow" / "cores.py"
    done = subprocess.run([sys.executable, script, "", "", "a"], capture_output=True, text=True, check=True)
    jobs, threads, workers = map(int, done.stdout.split())
    assert jobs * threads <= cores.available()
    assert workers <= cores.available()


def snakemake(*words: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile", "--cores", "1", "--nolock"]
    return subprocess.run(
        [*command, *words], cwd=paths.PROJECT, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def dry_run(*config: str, **environment: str) -> subprocess.CompletedProcess:
    return snakemake("--dry-run", "--quiet", "progress", "--config", *config, **environment)


@pytest.mark.parametrize("workers", [0, 3])
def test_workers_come_before_the_chapters(tmp_path, workers):
    """A dry run: each chapter of the data set once, and as many workers as were asked for, before all of them."""
    dataset = "phantom-pneumothorax"
    done = dry_run(f"datasets={dataset}", "profile=smoke", f"workers={workers}", SALTRUST_RESULTS=str(tmp_path))
    assert done.returncode == 0, done.stderr
    rules = [line.split()[1].strip(":") for line in done.stdout.splitlines() if line.startswith("rule ")]
    names = chapters.of(data_cards.load(dataset))
    assert rules == ["worker"] * workers + ["chapter"] * len(names) + ["all"]


def test_an_unknown_profile_is_refused(tmp_path):
    done = dry_run("profile=smok", SALTRUST_RESULTS=str(tmp_path))
    assert done.returncode != 0
    assert "unknown profile 'smok'; did you mean 'smoke'" in done.stdout + done.stderr


def test_cards_may_lie_elsewhere(tmp_path):
    folder = tmp_path / "cards"
    folder.mkdir()
    text = (paths.CARDS / "phantom-pneumonia.yaml").read_text(encoding="utf-8")
    (folder / "mine.yaml").write_text(text.replace("name: phantom-pneumonia", "name: mine"), encoding="utf-8")
    moved = {"SALTRUST_CARDS": str(folder), "SALTRUST_RESULTS": str(tmp_path)}
    done = dry_run("datasets=mine", "profile=smoke", **moved)
    assert done.returncode == 0, done.stderr
    assert str(folder / "mine.yaml") in done.stdout


def test_a_worker_that_was_killed_begins_anew(tmp_path):
    """Its command is one that kills itself the first time."""
    command, begun = tmp_path / "bin" / "saltrust", tmp_path / "begun"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\necho "$@" >> {begun}\n[ $(wc -l < {begun}) -gt 1 ] || kill -9 $$\n')
    command.chmod(0o755)
    found = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    dataset = "phantom-pneumothorax"
    done = f"{tmp_path}/smoke/{dataset}/workers/0.done"
    config = ["--quiet", "all", "--config", f"datasets={dataset}", "profile=smoke", "workers=1"]
    ended = snakemake(done, *config, PATH=found, SALTRUST_RESULTS=str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    assert Path(done).exists()
    assert begun.read_text().splitlines() == [f"compute --dataset {dataset} --profile smoke --name worker 0"] * 2
