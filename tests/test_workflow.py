"""What the workflow would run, and when it runs it again."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from saltrust import chapters
from saltrust.artefacts.fingerprint import modules_reached
from saltrust.core import data_cards, paths

DATASET = "phantom-pneumothorax"
BUILDING = ("chapter", "unfinished_book", "book")


def snakemake(*words: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile", "--rerun-triggers", "mtime"]
    return subprocess.run(
        [*command, "--cores", "1", "--nolock", *words],
        cwd=paths.PROJECT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def dry_run(*config: str, **environment: str) -> subprocess.CompletedProcess:
    return snakemake("--dry-run", "--quiet", "progress", "--config", *config, **environment)


def rules(done: subprocess.CompletedProcess) -> list[str]:
    """The rules of a dry run, in order."""
    assert done.returncode == 0, done.stderr
    starts = ("rule ", "localrule ")
    return [line.split()[1].strip(":") for line in done.stdout.splitlines() if line.startswith(starts)]


def test_what_is_missing_comes_before_the_chapters_and_the_book_last(tmp_path):
    done = dry_run(f"datasets={DATASET}", "profile=smoke", SALTRUST_RESULTS=str(tmp_path))
    names = chapters.of(data_cards.load(DATASET))
    assert rules(done) == ["everything"] + ["chapter"] * len(names) + ["book"]  # in smoke all is one job


def test_networks_and_their_maps_are_jobs(tmp_path):
    done = dry_run(f"datasets={DATASET}", "profile=quick", SALTRUST_RESULTS=str(tmp_path))
    found = rules(done)
    assert found.count("networks") == 4  # three classifiers, and two localizers that are worth one job together
    assert found.count("maps") == 7  # of three networks, of three random states of the main one, and what is small
    assert found.index("data") < found.index("networks") < found.index("maps") < found.index("book")
    asked = [int(megabytes) for megabytes in re.findall(r"resources: .*accelerator=.*mem_mb=(\d+)", done.stdout)]
    assert len(asked) == len([name for name in found if name not in BUILDING])
    assert 3000 <= min(asked) < max(asked) < 16000  # computed from the artefacts of each


def test_images_come_first_then_pages_then_what_most_work_waits_for(tmp_path):
    sets = (DATASET, "phantom-chest5")
    done = dry_run(f"datasets={' '.join(sets)}", "profile=quick", SALTRUST_RESULTS=str(tmp_path))
    urgent: dict[str, list[float]] = {}
    for text in re.split(r"^(?=(?:local)?rule )", done.stdout, flags=re.MULTILINE):
        if given := re.search(r"^ +priority: (\S+)$", text, flags=re.MULTILINE):
            urgent.setdefault(re.split(r"[ :]", text)[1], []).append(float(given[1]))
    assert min(urgent["data"]) > 4 > urgent["unfinished_book"][0] > urgent["chapter"][0] > 1
    assert max(urgent["data"]) == 5  # the longest chain of both sets
    judged = re.search(r"part=inception_v3-1\n +priority: (\S+)", done.stdout)
    assert float(judged[1]) == max(urgent["networks"])
    assert 0 < min(urgent["maps"]) < max(urgent["maps"]) < max(urgent["networks"]) < 1


def jobs(done: subprocess.CompletedProcess) -> list[tuple[str, list[str], dict[str, str]]]:
    """The rule, the inputs and the wildcards of each job of a dry run."""
    found = []
    for text in re.split(r"^(?=(?:local)?rule )", done.stdout, flags=re.MULTILINE):
        lines = dict(line.strip().partition(": ")[::2] for line in text.splitlines() if ": " in line)
        if rule := re.match(r"(?:local)?rule (\w+):", text):
            wildcards = dict(one.split("=") for one in lines.get("wildcards", "").split(", ") if one)
            found.append((rule[1], lines.get("input", "").split(", "), wildcards))
    return found


def test_a_first_book_waits_for_images_alone_and_one_more_for_each_data_set(tmp_path):
    sets = (DATASET, "phantom-pneumonia")
    done = dry_run(f"datasets={' '.join(sets)}", "profile=quick", SALTRUST_RESULTS=str(tmp_path))
    planned = jobs(done)
    books = {to["name"]: inputs for rule, inputs, to in planned if rule == "unfinished_book"}
    assert list(books) == ["first", DATASET]
    assert books["first"] == [str(tmp_path / "quick" / name / "notebooks" / "dataset.ipynb") for name in sets]
    assert len(books[DATASET]) == len(chapters.of(data_cards.load(DATASET))) + 1  # and the first book
    for rule, inputs, to in planned:
        waits = [file for file in inputs if file.endswith(".done")]
        if rule == "chapter" and to["chapter"] == "dataset":
            assert waits
            assert all("/computed/data/" in file for file in waits)
        elif rule == "chapter" and to["chapter"] == "verdict":
            assert "maps" in {file.split("/")[-2] for file in waits}


def test_where_a_chapter_ran_before_no_unfinished_book_is_built(executed):
    (executed / "smoke" / DATASET / "notebooks" / "verdict.ipynb").unlink()
    assert "unfinished_book" not in rules(
        dry_run(f"datasets={DATASET}", "profile=smoke", SALTRUST_RESULTS=str(executed))
    )


@pytest.fixture
def executed(tmp_path):
    """Results in which every chapter has just run."""
    notebooks = tmp_path / "smoke" / DATASET / "notebooks"
    notebooks.mkdir(parents=True)
    for name in chapters.of(data_cards.load(DATASET)):
        (notebooks / f"{name}.ipynb").touch()
    return tmp_path


def test_where_every_chapter_is_current_nothing_is_planned_and_only_the_book_is_built(executed):
    assert rules(dry_run(f"datasets={DATASET}", "profile=smoke", SALTRUST_RESULTS=str(executed))) == ["book"]


def test_a_chapter_runs_again_when_a_module_that_it_reaches_is_edited():
    def reached(chapter):
        files = modules_reached(paths.CHAPTERS / f"{chapter}.py", ("saltrust.methods", "saltrust.datasets.phantom"))
        return {file.relative_to(paths.PROJECT / "src" / "saltrust").as_posix() for file in files}

    by_chapter = {name: reached(name) for name in chapters.NAMES}
    for name, files in by_chapter.items():
        assert {"study/study.py", "artefacts/maps.py", "methods/lrp.py", "datasets/phantom/drawing.py"} <= files
        assert not any(file.startswith("cli/") for file in files)
        assert name == "report_card" or not any(file.startswith("publishing/") for file in files)
    multiverse = {name for name, files in by_chapter.items() if "analysis/multiverse/curve.py" in files}
    assert multiverse == {"multiverse"}


def test_an_older_chapter_runs_again(executed):
    old = executed / "smoke" / DATASET / "notebooks" / "claims.ipynb"
    os.utime(old, (1e9, 1e9))
    time.sleep(0.01)
    found = rules(dry_run(f"datasets={DATASET}", "profile=smoke", SALTRUST_RESULTS=str(executed)))
    assert found == ["everything", "chapter", "book"]


@pytest.mark.parametrize(
    "outdated", [("dataset",), ("dataset", "models", "claims"), ("localization", "repeatability", "verdict")]
)
def test_all_chapters_run_again_that_are_older_and_no_others(executed, outdated):
    for name in outdated:
        os.utime(executed / "smoke" / DATASET / "notebooks" / f"{name}.ipynb", (1e9, 1e9))
    done = dry_run(f"datasets={DATASET}", "profile=smoke", SALTRUST_RESULTS=str(executed))
    assert rules(done).count("chapter") == len(outdated)
    assert {f"chapter={name}" for name in outdated} <= set(re.findall(r"chapter=\w+", done.stdout))


def test_a_chapter_on_a_shortcut_runs_again_when_the_card_of_its_control_is_edited(tmp_path):
    names = ("phantom-shortcut", "phantom-no-shortcut")
    notebooks, cards = tmp_path / "smoke" / names[0] / "notebooks", tmp_path / "cards"
    notebooks.mkdir(parents=True)
    cards.mkdir()
    for name in names:
        (cards / f"{name}.yaml").write_text((paths.CARDS / f"{name}.yaml").read_text(encoding="utf-8"))
    time.sleep(0.01)
    for name in chapters.of(data_cards.load(names[0])):
        (notebooks / f"{name}.ipynb").touch()
    asked = {"SALTRUST_RESULTS": str(tmp_path), "SALTRUST_CARDS": str(cards)}
    assert rules(dry_run(f"datasets={names[0]}", "profile=smoke", **asked)) == ["book"]
    time.sleep(0.01)
    (cards / f"{names[1]}.yaml").touch()
    assert rules(dry_run(f"datasets={names[0]}", "profile=smoke", **asked)).count("chapter") > 0


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


def program(folder: Path, text: str) -> dict[str, str]:
    """An environment in which `saltrust` is a script."""
    command = folder / "bin" / "saltrust"
    command.parent.mkdir()
    command.write_text(f"#!/bin/sh\n{text}\n")
    command.chmod(0o755)
    return {"PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}", "SALTRUST_RESULTS": str(folder)}


def test_a_job_that_was_killed_begins_anew(tmp_path):
    """Its command is one that kills itself the first time."""
    begun = tmp_path / "begun"
    environment = program(tmp_path, f'echo "$@" >> {begun}\n[ $(wc -l < {begun}) -gt 1 ] || kill -9 $$')
    done = f"{tmp_path}/smoke/{DATASET}/computed/all/all.done"
    config = ["--quiet", "all", "--config", f"datasets={DATASET}", "profile=smoke"]
    ended = snakemake(done, *config, **environment)
    assert ended.returncode == 0, ended.stderr
    assert Path(done).exists()
    assert begun.read_text().splitlines() == [f"compute --dataset {DATASET} --profile smoke --stage all --part all"] * 2


def test_a_chapter_that_fails_stops_those_that_need_it_alone_and_the_book_is_built(tmp_path):
    """Chapters are commands that say their name; that of the gallery fails."""
    said = tmp_path / "said"
    environment = program(
        tmp_path,
        f'echo "$1 $2" >> {said}\n[ "$1 $2" != "publish gallery" ] || exit 1\n'
        f'[ "$1" != publish ] || touch {tmp_path}/smoke/{DATASET}/notebooks/$2.ipynb',
    )
    done = snakemake(
        *("--quiet", "all", "--keep-going", "--config", f"datasets={DATASET}", "profile=smoke"), **environment
    )
    assert done.returncode == 1
    ran = said.read_text().splitlines()
    assert ran[0].startswith("compute")
    assert set(ran[1:-1]) == {"publish dataset", "publish models", "publish gallery"}
    assert ran[-1] == "book --profile"


@pytest.mark.parametrize(
    ("words", "shared"),
    [
        (["JOBS=3"], "--cores 3 --resources mem_mb="),
        (["-j5"], "--cores 5 --resources mem_mb="),
        (["-j5", "JOBS=3"], "--cores 3 --resources mem_mb="),
        (["EXECUTOR=slurm", "JOBS=7"], "workflow/profiles/slurm --jobs 7 "),
    ],
)
def test_make_says_how_many_jobs_run_at_once(words, shared, tmp_path):
    command = [
        "make",
        "--dry-run",
        "book",
        f"BIN={Path(sys.executable).parent}",
        "--assume-old=.venv/installed",
        *words,
    ]
    done = subprocess.run(command, cwd=paths.PROJECT, capture_output=True, text=True, check=False)
    assert shared in done.stdout, done.stdout + done.stderr
