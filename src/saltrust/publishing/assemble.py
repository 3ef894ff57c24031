"""Assemble the book: executed chapters become evidence pages beside the narrative, and Jupyter Book renders both."""

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Collection
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from saltrust import chapters
from saltrust.chapters.results_folder import Results, published
from saltrust.core import data_cards, markup, paths, protocols
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.profiles import PROFILES
from saltrust.publishing import myst, provenance

EVIDENCE = paths.BUILD / "evidence"
HTML = paths.BUILD / "_build" / "html" / "index.html"
BUILT = HTML.with_name(".built")  # what the book that is there shows, of the time when its making began
DEFAULT_PROTOCOL = "corrected"  # of the chapters
BENCHMARKS = ("benchmarks.json", "benchmarks_machine.json", "benchmarks_full.json")
EDITIONS = {"teacher": (), "student": ("teaching",)}  # of the book, and the pages that each leaves out
EVIDENCE_PART = 1  # in the table of contents: after the concepts, before what closes the book
LEADING = "phantom-pneumothorax"  # the data set that the concepts quote comes first, then others that are drawn


def build(profile: str, making: Collection[str] = ()) -> Path:
    """Assemble the evidence of one profile and render the book, unless the same was rendered last.

    Warnings are errors: a number or figure that the prose asks for and no chapter made stops the build.

    Args:
        profile: a name in PROFILES.
        making: data sets whose missing chapters are about to run; their pages say so.

    Returns:
        The first page.

    Raises:
        SaltrustError: where the book was not built.
    """
    state = _state(profile, making)
    if HTML.exists() and BUILT.exists() and BUILT.read_text(encoding="utf-8") == state and not _edited(profile):
        return HTML
    began = time.time()
    _clear_other_edition()
    BUILT.unlink(missing_ok=True)
    toc = assemble(profile, making)
    command = ["build", str(paths.BUILD), "--toc", str(toc), "--warningiserror", "--keep-going", "--quiet"]
    script = Path(sys.executable).with_name("jupyter-book")  # of this environment, whatever is on the PATH
    outcome = subprocess.run([script, *command], check=False)
    if outcome.returncode:
        raise SaltrustError("the book was not built: see the warnings above")
    BUILT.write_text(state, encoding="utf-8")
    os.utime(BUILT, (began, began))  # what changes meanwhile is not in it
    return HTML


def edition() -> str:
    """The edition that SALTRUST_EDITION names, else that for teachers. Raises SaltrustError for one that is none."""
    asked = os.environ.get("SALTRUST_EDITION") or "teacher"
    if asked not in EDITIONS:
        raise unknown_name("edition", asked, EDITIONS)
    return asked


def _clear_other_edition() -> None:
    """Remove a book of another edition: its pages would stay beside those of this one."""
    shown = json.loads(BUILT.read_text(encoding="utf-8")).get("edition") if BUILT.exists() else None
    if shown != edition():
        shutil.rmtree(HTML.parent, ignore_errors=True)


def _state(profile: str, making: Collection[str]) -> str:
    """What a book shows that no file says."""
    here = [name for name in data_cards.names() if data_cards.load(name).available]
    return json.dumps({"profile": profile, "making": sorted(making), "here": here, "edition": edition()})


def _edited(profile: str) -> bool:
    """Whether a file or a result has changed since the book was built: the code, the sources, the published chapters
    and, by their folders, whether one is gone."""
    built = BUILT.stat().st_mtime
    sources = (file for file in paths.BOOK.rglob("*") if not {"evidence", "_build"}.intersection(file.parts))
    results = (paths.RESULTS / profile).rglob("*")
    code = [*paths.PACKAGE.rglob("*.py"), *paths.PACKAGE.rglob("*.css"), *paths.CHAPTERS.glob("*.py")]
    given = [folder.glob("*") for folder in (paths.CARDS, paths.ASSESSED, paths.MEASURED)]
    rest = [paths.PROJECT / "requirements.lock", *(paths.RESULTS / name for name in BENCHMARKS)]
    found = chain(sources, results, code, *given, (file for file in rest if file.exists()))
    return any(file.stat().st_mtime >= built for file in found if file.name != "__pycache__")


def assemble(profile: str, making: Collection[str] = ()) -> Path:
    """Write book/evidence/ anew.

    It holds the pages, figures, tables and numbers of every data card; what the registries say of methods, protocols
    and claims; what the benchmarks measured; and where all of it comes from.

    Args:
        profile: a name in PROFILES.
        making: data sets whose missing chapters are about to run.

    Returns:
        The table of contents.
    """
    if paths.BUILD != paths.BOOK:
        shutil.copytree(paths.BOOK, paths.BUILD, dirs_exist_ok=True)
    shutil.rmtree(EVIDENCE, ignore_errors=True)
    EVIDENCE.mkdir()
    _write_registries(profile)
    for name in BENCHMARKS:
        own = paths.RESULTS / name
        _copy(own if own.exists() else paths.MEASURED / name, EVIDENCE / name)
    for chapter in chapters.NAMES:
        _copy(paths.CHAPTERS / f"{chapter}.py", EVIDENCE / "sources" / f"{chapter}.py")
    cards = _cards(profile)
    evidence: list[dict[str, Any]] = []
    elsewhere: dict[str, dict[str, Any]] = {}
    for card in cards:
        shown = _write_pages(card, profile, card.name in making)
        files = [{"file": f"evidence/{card.name}/{chapter}"} for chapter in shown]
        entry = {"file": f"evidence/{card.name}/index"} | ({"sections": files} if files else {})
        if card.name in making or any(published(profile, card.name, chapter).notebook.exists() for chapter in shown):
            evidence.append(entry)
        else:
            elsewhere[card.name] = entry
    (EVIDENCE / "data_sets.json").write_text(
        json.dumps({card.name: markup.myst(card.title) for card in cards}), encoding="utf-8"
    )
    (EVIDENCE / "elsewhere.md").write_text(
        myst.elsewhere([card for card in cards if card.name in elsewhere], profile), encoding="utf-8"
    )
    sections = {"sections": [*elsewhere.values()]} if elsewhere else {}
    evidence.append({"file": "evidence/elsewhere"} | sections)
    provenance.write(EVIDENCE, profile, [card.name for card in cards])
    (EVIDENCE / "making.json").write_text(json.dumps(_progress(profile, making)), encoding="utf-8")
    toc = yaml.safe_load((paths.BUILD / "_toc.yml").read_text(encoding="utf-8"))
    for part in toc["parts"]:
        part["chapters"] = [page for page in part["chapters"] if page["file"] not in EDITIONS[edition()]]
    toc["parts"].insert(EVIDENCE_PART, {"caption": "Evidence", "chapters": evidence})
    file = EVIDENCE / "_toc.yml"
    file.write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")
    return file


def _progress(profile: str, making: Collection[str]) -> dict[str, Any]:
    """The data sets that are being made, how many of their chapters are ready, and how many there will be."""
    names = [(dataset, chapter) for dataset in making for chapter in chapters.of(data_cards.load(dataset))]
    ready = sum(published(profile, *name).notebook.exists() for name in names)
    return {"datasets": [*making], "ready": ready, "chapters": len(names)}


def _write_registries(profile: str) -> None:
    from saltrust.analysis.claims import ledger  # imports torch, for which a book that stands need not wait
    from saltrust.models import training_choices

    known = {
        "methods": methods_here(profile),
        "protocols": protocols.catalogue(),
        "trainings": training_choices.catalogue(),
        "claims": ledger.catalogue(),
    }
    for name, registry in known.items():
        (EVIDENCE / f"{name}.json").write_text(json.dumps(registry, indent=1), encoding="utf-8")


def methods_here(profile: str) -> list[dict[str, Any]]:
    """What the registry says of each method, and what this book does: by the default protocol, in the profile's size.

    Args:
        profile: A name in PROFILES.

    Returns:
        The rows of the registry's `catalogue`, each with "here": the profile's and the protocol's name, the passes of a
        map, and the value of every parameter that differs from its default.
    """
    from saltrust.methods.registry import METHODS, catalogue  # imports torch, for which other commands need not wait

    protocol, rows = protocols.PROTOCOLS[DEFAULT_PROTOCOL], catalogue()
    for row in rows:
        method = METHODS[row["name"]]
        given = method.from_protocol(protocol, PROFILES[profile])
        changed = {name: value for name, value in given.items() if value != method.defaults[name]}
        row["here"] = {
            "profile": profile,
            "protocol": protocol.name,
            "passes": method.passes(given),
            "parameters": changed,
        }
    return rows


def _cards(profile: str) -> list[Card]:
    """Every data card of the project, and those of a user's models that have results; in the order of the book."""
    cards = [data_cards.load(name) for name in data_cards.names()]
    assessed = [data_cards.load(name) for name in data_cards.assessed()]
    cards += [card for card in assessed if _begun(card, profile)]
    return sorted(cards, key=lambda card: (card.name != LEADING, card.get is not None))


def _begun(card: Card, profile: str) -> bool:
    """Whether a chapter was ever published, or at least tried."""
    return published(profile, card.name, "").notebook.parent.exists()


def _write_pages(card: Card, profile: str, making: bool) -> list[str]:
    """Write the pages of a data set and what they show; returns the chapters that have one."""
    folder = EVIDENCE / card.name
    folder.mkdir(parents=True)
    shown = list(chapters.of(card)) if card.available or _begun(card, profile) else []
    for place in ("figures", "tables", "numbers.json"):
        _copy(published(profile, card.name, "").folder / place, folder / place)
    for chapter in shown:
        (folder / f"{chapter}.md").write_text(myst.page(card, chapter, profile, making), encoding="utf-8")
        results = published(profile, card.name, chapter)
        if results.notebook.exists():
            _copy(results.notebook, folder / "notebooks" / results.notebook.name)
            _bundle(results, folder / "bundles" / f"{card.name}-{chapter}.zip")
    (folder / "index.md").write_text(myst.overview(card, profile, making), encoding="utf-8")
    return shown


def _bundle(results: Results, file: Path) -> None:
    """What the chapter left but for its notebook, as one archive: figures and tables with their captions, numbers,
    provenance, and the source."""
    file.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in results.files():
            archive.write(part, f"{file.stem}/{part.parent.name}/{part.name}")
        archive.writestr(f"{file.stem}/numbers.json", json.dumps(results.numbers(), indent=1))
        archive.write(results.provenance_file, f"{file.stem}/provenance.json")
        archive.write(paths.CHAPTERS / f"{results.chapter}.py", f"{file.stem}/{results.chapter}.py")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.is_file():
        target.parent.mkdir(exist_ok=True)
        shutil.copy(source, target)
