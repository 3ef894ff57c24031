"""Assemble the book: executed chapters become evidence pages beside the narrative, and Jupyter Book renders both."""

import json
import shutil
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import nbformat
import yaml

from saltrust import cards, chapters, paths, protocols
from saltrust.cards import Card
from saltrust.claims import ledger
from saltrust.errors import SaltrustError
from saltrust.report import MIME

EVIDENCE = paths.BOOK / "evidence"
HTML = paths.BOOK / "_build" / "html" / "index.html"


def build(profile: str) -> Path:
    """Assemble the evidence of one profile and render the book; returns its first page.

    Warnings are errors: a number or figure that the prose asks for and no chapter made stops the build.
    """
    toc = assemble(profile)
    command = ["build", str(paths.BOOK), "--toc", str(toc), "--warningiserror", "--keep-going", "--quiet"]
    script = Path(sys.executable).with_name("jupyter-book")  # of this environment, whatever is on the PATH
    outcome = subprocess.run([script, *command], check=False)
    if outcome.returncode:
        raise SaltrustError("the book was not built: see the warnings above")
    return HTML


def assemble(profile: str) -> Path:
    """Write book/evidence/ anew: pages, figures, tables, numbers of every data card; what the registries say of
    methods, protocols and claims; what the benchmarks measured. Returns the table of contents."""
    from saltrust.methods.registry import catalogue  # imports torch, which the other commands need not wait for

    shutil.rmtree(EVIDENCE, ignore_errors=True)
    EVIDENCE.mkdir()
    known = {"methods": catalogue(), "protocols": protocols.catalogue(), "claims": ledger.catalogue()}
    for name, registry in known.items():
        (EVIDENCE / f"{name}.json").write_text(json.dumps(registry, indent=1), encoding="utf-8")
    for name in ("benchmarks.json", "benchmarks_machine.json", "benchmarks_full.json"):
        _copy(paths.RESULTS / name, EVIDENCE / name)
    parts = []
    run = [name for name in cards.assessed() if (paths.results_of(profile, name) / "notebooks").exists()]
    for name in [*cards.names(), *run]:
        card = cards.load(name)
        folder = EVIDENCE / name
        folder.mkdir(parents=True)
        results = paths.results_of(profile, name)
        for kind in ("figures", "tables", "numbers.json"):
            _copy(results / kind, folder / kind)
        shown = list(chapters.of(card)) if card.available or (results / "notebooks").exists() else []
        for chapter in shown:
            (folder / f"{chapter}.md").write_text(page(card, chapter, profile), encoding="utf-8")
            _copy(results / "notebooks" / f"{chapter}.ipynb", folder / "notebooks" / f"{chapter}.ipynb")
        (folder / "index.md").write_text(overview(card, profile), encoding="utf-8")
        files = [{"file": f"evidence/{name}/{chapter}"} for chapter in shown]
        parts.append({"file": f"evidence/{name}/index"} | ({"sections": files} if files else {}))
    toc = yaml.safe_load((paths.BOOK / "_toc.yml").read_text(encoding="utf-8"))
    toc["parts"].insert(EVIDENCE_PART, {"caption": "Evidence", "chapters": parts})
    file = EVIDENCE / "_toc.yml"
    file.write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")
    return file


EVIDENCE_PART = 1  # after the concepts, before what closes the book


def page(card: Card, chapter: str, profile: str) -> str:
    """The evidence page (MyST) of one chapter on one data set."""
    results = paths.results_of(profile, card.name)
    executed = results / "notebooks" / f"{chapter}.ipynb"
    loaded = chapters.load(chapter)
    heading = f"({card.name}-{chapter})=\n# {loaded.title}\n\n*{card.title}*\n"
    if not executed.exists():
        return f"{heading}\n{_not_run(card, chapter, profile)}"
    notebook = nbformat.read(executed, as_version=4)
    body = "\n\n".join(_blocks(notebook.cells))
    body = body.partition("\n")[2] if body.startswith("# ") else body
    return f"{heading}\n{body}\n\n{_provenance(card, chapter, profile)}"


def overview(card: Card, profile: str) -> str:
    """The first page of a data set's evidence: what the card says."""
    counts = "\n".join(f"| {split} | {c.images} | {c.positive} |" for split, c in card.counts.items())
    counted = f"""
The data card counts these images; the profile `{profile}` may take fewer, at the same share of positives.

| Split | Images | With the finding |
|---|---:|---:|
{counts}
"""
    tree = f"\nThe files that are expected:\n\n```text\n{card.get.tree}```\n" if card.get and card.get.tree else ""
    cite = f"\nCite {{cite}}`{','.join(card.cite)}`.\n" if card.cite else ""
    first, *_, last = chapters.of(card)
    ran = (paths.results_of(profile, card.name) / "notebooks" / f"{last}.ipynb").exists()
    state = "" if ran else f"\n{_not_run(card, first, profile)}\n"
    return f"""({card.name})=
# {card.title}

{card.summary}
{state}
| | |
|---|---|
| Finding | {card.finding} |
| Modality | {card.modality} |
| Truth | {card.truth} |
| Stands for | {card.role} |
| Licence | {card.licence} |
| Localizer | {card.localizer} |
{cite}{counted if counts else ""}{tree}"""


def _not_run(card: Card, chapter: str, profile: str) -> str:
    results = paths.results_of(profile, card.name)
    if (results / "notebooks" / f"{chapter}.failed.ipynb").exists():
        why = f"This chapter failed; its notebook is `{results / 'notebooks' / f'{chapter}.failed.ipynb'}`."
    elif not card.available:
        where = f"It comes from {card.get.source} and is expected in `{card.get.root}`."
        why = f"The data set is not on this machine. {where}"
    else:
        why = "This book was built without it."
    return f""":::{{admonition}} Not run here
:class: note not-run
{why} To run it:

```bash
make book DATASETS={card.name} PROFILE={profile}
```
:::
"""


def _blocks(cells: list[nbformat.NotebookNode]) -> list[str]:
    """Cells as MyST: prose as it is; code folded away, its saved figures and tables as numbered directives.

    Code cells that follow one another without an output in between share one fold.
    """
    blocks: list[str] = []
    code: list[str] = []
    for cell in cells:
        if cell.cell_type == "markdown":
            blocks += [_folded(code), cell.source]
            code = []
        elif cell.source.strip() and not {"injected-parameters", "parameters"} & set(cell.metadata.get("tags", [])):
            code.append(cell.source)
            if outputs := [(_tabs(output), text) for output in cell.outputs if (text := _output(output))]:
                blocks += [_folded(code), *_arranged(outputs)]
                code = []
    return [block for block in [*blocks, _folded(code)] if block]


def _folded(code: list[str]) -> str:
    source = "\n\n".join(code)
    return f"::::{{dropdown}} Code\n:class-container: chapter-code\n```python\n{source}\n```\n::::" if code else ""


def _output(output: nbformat.NotebookNode) -> str:
    if output.output_type == "stream":
        return f"```text\n{output.text.rstrip()}\n```" if output.name == "stdout" else ""
    data = output.get("data", {})
    if MIME in data:
        return f"```{{result-{data[MIME]['kind']}}} {data[MIME]['name']}\n```"
    return f"```text\n{data['text/plain']}\n```" if "text/plain" in data else ""


def _tabs(output: nbformat.NotebookNode) -> tuple[str, ...]:
    return tuple(output.get("data", {}).get(MIME, {}).get("tabs", ()))


def _arranged(outputs: list[tuple[tuple[str, ...], str]], depth: int = 0) -> list[str]:
    """Outputs as MyST, those that name tabs in tab sets: (path of tabs, text) in the order of the cell."""
    blocks = []
    for tabbed, group in groupby(outputs, lambda output: bool(output[0])):
        if not tabbed:
            blocks += [text for _, text in group]
            continue
        outer, inner = ":" * (8 - 2 * depth), ":" * (7 - 2 * depth)
        items = []
        for title, members in groupby(group, lambda output: output[0][0]):
            content = "\n\n".join(_arranged([(path[1:], text) for path, text in members], depth + 1))
            items.append(f"{inner}{{tab-item}} {title}\n{content}\n{inner}")
        blocks.append("\n".join([f"{outer}{{tab-set}}", *items, outer]))
    return blocks


def _provenance(card: Card, chapter: str, profile: str) -> str:
    file = paths.results_of(profile, card.name) / "provenance" / f"{chapter}.json"
    note = json.loads(file.read_text(encoding="utf-8"))
    environment = note.get("environment", {})
    given = {k: v for k, v in note["parameters"].items() if k not in ("dataset", "profile")}
    defaults = {p.name: p.default for p in chapters.load(chapter).parameters}
    options = " ".join(
        f"--{name.replace('_', '-')} {value}" for name, value in given.items() if value != defaults[name]
    )
    made = sum(artefact["seconds"] for artefact in note.get("artefacts", []))
    parameters = ", ".join(f"`{name} = {value}`" for name, value in note["parameters"].items())
    versions = ", ".join(f"{key} {environment[key]}" for key in VERSIONS if key in environment)
    return f"""---

:::{{admonition}} How this page was made
:class: provenance
- Parameters: {parameters}
- Code: commit `{environment.get("commit", "unknown")}`; {versions}
- Machine: {environment.get("machine", "unknown")}, device {environment.get("device", "unknown")}
- Time: {note["seconds"]:.0f} s for this page; {made:.0f} s to compute the {len(note.get("artefacts", []))} artefacts
  behind it, which later runs read from the store
- Download: {{download}}`the executed notebook <notebooks/{chapter}.ipynb>`

Run it again, with other parameters if you like; see what it takes; and in what the outcome differs from this page:

```bash
saltrust run {chapter} --dataset {card.name} --profile {profile} {options}
saltrust run {chapter} --help
saltrust compare <the run> published
```
:::
"""


VERSIONS = ("python", "saltrust", "torch", "torchvision", "numpy", "scikit-image")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.is_file():
        target.parent.mkdir(exist_ok=True)
        shutil.copy(source, target)
