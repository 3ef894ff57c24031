"""Assemble the book: executed chapters become evidence pages beside the narrative, and Jupyter Book renders both."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import yaml

from saltrust import chapters
from saltrust.analysis.claims import ledger
from saltrust.chapters.results_folder import Results, published
from saltrust.core import data_cards, paths, protocols
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.core.profiles import PROFILES
from saltrust.publishing import myst, provenance

EVIDENCE = paths.BUILD / "evidence"
HTML = paths.BUILD / "_build" / "html" / "index.html"
DEFAULT_PROTOCOL = "corrected"  # of the chapters
BENCHMARKS = ("benchmarks.json", "benchmarks_machine.json", "benchmarks_full.json")
EVIDENCE_PART = 1  # in the table of contents: after the concepts, before what closes the book
LEADING = "phantom-pneumothorax"  # the data set that the concepts quote comes first, then others that are drawn


def build(profile: str) -> Path:
    """Assemble the evidence of one profile and render the book.

    Warnings are errors: a number or figure that the prose asks for and no chapter made stops the build.

    Returns:
        The first page.

    Raises:
        SaltrustError: where the book was not built.
    """
    toc = assemble(profile)
    command = ["build", str(paths.BUILD), "--toc", str(toc), "--warningiserror", "--keep-going", "--quiet"]
    script = Path(sys.executable).with_name("jupyter-book")  # of this environment, whatever is on the PATH
    outcome = subprocess.run([script, *command], check=False)
    if outcome.returncode:
        raise SaltrustError("the book was not built: see the warnings above")
    return HTML


def assemble(profile: str) -> Path:
    """Write book/evidence/ anew.

    It holds the pages, figures, tables and numbers of every data card; what the registries say of methods, protocols
    and claims; what the benchmarks measured; and where all of it comes from.

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
    parts: dict[str, list[dict[str, Any]]] = {"Evidence": [], "Not run here": []}
    for card in cards:
        shown = _write_pages(card, profile)
        files = [{"file": f"evidence/{card.name}/{chapter}"} for chapter in shown]
        ran = any(published(profile, card.name, chapter).notebook.exists() for chapter in chapters.of(card))
        part = parts["Evidence" if ran else "Not run here"]
        part.append({"file": f"evidence/{card.name}/index"} | ({"sections": files} if files else {}))
    provenance.write(EVIDENCE, profile, [card.name for card in cards])
    toc = yaml.safe_load((paths.BUILD / "_toc.yml").read_text(encoding="utf-8"))
    toc["parts"][EVIDENCE_PART:EVIDENCE_PART] = [
        {"caption": caption, "chapters": found} for caption, found in parts.items() if found
    ]
    file = EVIDENCE / "_toc.yml"
    file.write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")
    return file


def _write_registries(profile: str) -> None:
    from saltrust.models import training_choices  # imports torch, for which other commands need not wait

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


def _write_pages(card: Card, profile: str) -> list[str]:
    """Write the pages of a data set and what they show; returns the chapters that have one."""
    folder = EVIDENCE / card.name
    folder.mkdir(parents=True)
    shown = list(chapters.of(card)) if card.available or _begun(card, profile) else []
    for place in ("figures", "tables", "numbers.json"):
        _copy(published(profile, card.name, "").folder / place, folder / place)
    for chapter in shown:
        (folder / f"{chapter}.md").write_text(myst.page(card, chapter, profile), encoding="utf-8")
        results = published(profile, card.name, chapter)
        if results.notebook.exists():
            _copy(results.notebook, folder / "notebooks" / results.notebook.name)
            _bundle(results, folder / "bundles" / f"{card.name}-{chapter}.zip")
    (folder / "index.md").write_text(myst.overview(card, profile), encoding="utf-8")
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
