"""Assemble the book: executed chapters become evidence pages beside the narrative, and Jupyter Book renders both."""

import json
import shutil
import subprocess
import sys
import zipfile
from itertools import groupby
from pathlib import Path
from typing import Any

import nbformat
import yaml

from saltrust import chapters
from saltrust.analysis.claims import ledger
from saltrust.chapters import leavings
from saltrust.chapters.chapter import MIME, Chapter
from saltrust.core import data_cards, paths, protocols
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.publishing import provenance
from saltrust.publishing.launch import links
from saltrust.publishing.run_page import TINY

EVIDENCE = paths.BUILD / "evidence"
HTML = paths.BUILD / "_build" / "html" / "index.html"
MEASURED = paths.MEASURED


def build(profile: str) -> Path:
    """Assemble the evidence of one profile and render the book; returns its first page.

    Warnings are errors: a number or figure that the prose asks for and no chapter made stops the build.
    """
    toc = assemble(profile)
    command = ["build", str(paths.BUILD), "--toc", str(toc), "--warningiserror", "--keep-going", "--quiet"]
    script = Path(sys.executable).with_name("jupyter-book")  # of this environment, whatever is on the PATH
    outcome = subprocess.run([script, *command], check=False)
    if outcome.returncode:
        raise SaltrustError("the book was not built: see the warnings above")
    return HTML


def assemble(profile: str) -> Path:
    """Write book/evidence/ anew: pages, figures, tables, numbers of every data card; what the registries say of
    methods, protocols and claims; what the benchmarks measured; where all of it comes from. Returns the table of
    contents."""
    from saltrust.methods.registry import catalogue  # imports torch, which the other commands need not wait for

    if paths.BUILD != paths.BOOK:
        shutil.copytree(paths.BOOK, paths.BUILD, dirs_exist_ok=True)
    shutil.rmtree(EVIDENCE, ignore_errors=True)
    EVIDENCE.mkdir()
    known = {"methods": catalogue(), "protocols": protocols.catalogue(), "claims": ledger.catalogue()}
    for name, registry in known.items():
        (EVIDENCE / f"{name}.json").write_text(json.dumps(registry, indent=1), encoding="utf-8")
    for name in ("benchmarks.json", "benchmarks_machine.json", "benchmarks_full.json"):
        own = paths.RESULTS / name
        _copy(own if own.exists() else MEASURED / name, EVIDENCE / name)
    for chapter in chapters.NAMES:
        _copy(paths.CHAPTERS / f"{chapter}.py", EVIDENCE / "sources" / f"{chapter}.py")
    parts: dict[str, list[dict[str, Any]]] = {"Evidence": [], "Not run here": []}
    assessed = [name for name in data_cards.assessed() if (paths.results_of(profile, name) / "notebooks").exists()]
    datasets = {name: data_cards.load(name) for name in [*data_cards.names(), *assessed]}
    datasets = dict(sorted(datasets.items(), key=lambda item: (item[0] != LEADING, item[1].get is not None)))
    for name, card in datasets.items():
        folder = EVIDENCE / name
        folder.mkdir(parents=True)
        results = paths.results_of(profile, name)
        for kind in ("figures", "tables", "numbers.json"):
            _copy(results / kind, folder / kind)
        shown = list(chapters.of(card)) if card.available or (results / "notebooks").exists() else []
        for chapter in shown:
            (folder / f"{chapter}.md").write_text(page(card, chapter, profile), encoding="utf-8")
            executed = results / "notebooks" / f"{chapter}.ipynb"
            if executed.exists():
                _copy(executed, folder / "notebooks" / executed.name)
                _bundle(results, chapter, folder / "bundles" / f"{name}-{chapter}.zip")
        (folder / "index.md").write_text(overview(card, profile), encoding="utf-8")
        files = [{"file": f"evidence/{name}/{chapter}"} for chapter in shown]
        part = parts["Evidence" if _ran(card, profile) else "Not run here"]
        part.append({"file": f"evidence/{name}/index"} | ({"sections": files} if files else {}))
    provenance.write(EVIDENCE, profile, [*datasets])
    toc = yaml.safe_load((paths.BUILD / "_toc.yml").read_text(encoding="utf-8"))
    toc["parts"][EVIDENCE_PART:EVIDENCE_PART] = [
        {"caption": caption, "chapters": found} for caption, found in parts.items() if found
    ]
    file = EVIDENCE / "_toc.yml"
    file.write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")
    return file


EVIDENCE_PART = 1  # after the concepts, before what closes the book
LEADING = "phantom-pneumothorax"  # the data set that the concepts quote comes first, then others that are drawn


def _ran(card: Card, profile: str) -> list[str]:
    """The chapters that were executed."""
    notebooks = paths.results_of(profile, card.name) / "notebooks"
    return [chapter for chapter in chapters.of(card) if (notebooks / f"{chapter}.ipynb").exists()]


def page(card: Card, chapter: str, profile: str) -> str:
    """The evidence page (MyST) of one chapter on one data set."""
    results = paths.results_of(profile, card.name)
    executed = results / "notebooks" / f"{chapter}.ipynb"
    loaded = chapters.load(chapter)
    label, title = f"{card.name}-{chapter}", f"# {loaded.title}\n\n*{card.title}*"
    if not executed.exists():
        return f"({label})=\n{title}\n\n{_not_run(card, chapter, profile)}"
    notebook = nbformat.read(executed, as_version=4)
    body = "\n\n".join(_blocks(notebook.cells))
    body = body.partition("\n")[2] if body.startswith("# ") else body
    note = json.loads((results / "provenance" / f"{chapter}.json").read_text(encoding="utf-8"))
    return f"""({label})=
{title} · [Parameters, downloads, run it again](#{label}-again){f" · {TINY}" if profile == "smoke" else ""}

{body}

({label}-again)=
## Run it again

{_again(card, loaded, note["parameters"])}

{_made(note)}"""


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
    known, ran = chapters.of(card), _ran(card, profile)
    state = f"\n*{len(ran)} of {len(known)} chapters were run here.*\n" if len(ran) < len(known) else ""
    if not ran:
        state = f"\n{_not_run(card, next(iter(known)), profile)}\n"
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


def _again(card: Card, chapter: Chapter, parameters: dict[str, Any]) -> str:
    """The box with the command, the parameters that were chosen in bold, what can be taken away, and where to run it.
    parameters: of the page, by their names."""
    items = []
    for parameter, value in chapter.given(parameters):
        shown, told = f"`{parameter.name} = {value}`", parameter.help or "…"
        if value != parameter.default:
            shown, told = f"**{shown}**", f"{told} (default: `{parameter.default}`)"
        items.append(f"{shown}\n: {told}")
    chosen, found = "\n\n".join(items), links(chapter.name, card.name)
    source = f"{{download}}`its source <../sources/{chapter.source.name}>`"
    source += f" ([on the web]({found.source}))" if found.source else ""
    launched = " · ".join(f"[{words}]({address})" for words, address in found.launch.items())
    launched = f"\nOpen the chapter, with its defaults: {launched}\n" if launched else ""
    return f"""::::{{container}} again
```bash
{chapter.command(parameters)}
```

{chosen}

Type it in the project's folder (`saltrust` is in its `.venv/bin`) and change what you like:
`saltrust run {chapter.name} --help` says what there is. The run gets a page of its own, and this one stays as it is. To
see in what they differ:

```bash
saltrust compare <the run> published
```

`make lab` opens the chapters in JupyterLab, to be changed and run by hand.
{launched}
Downloads: {{download}}`all figures, tables and numbers (zip) <bundles/{card.name}-{chapter.name}.zip>` ·
{{download}}`the executed notebook <notebooks/{chapter.name}.ipynb>` · {source}
::::"""


def _made(note: dict[str, Any]) -> str:
    environment, artefacts = note.get("environment", {}), note.get("artefacts", [])
    versions = ", ".join(f"{key} {environment[key]}" for key in VERSIONS if key in environment)
    made = sum(artefact["seconds"] for artefact in artefacts)
    return f""":::{{admonition}} How this page was made
:class: provenance
- Code: commit `{environment.get("commit", "unknown")}`; {versions}
- Machine: {environment.get("machine", "unknown")}, device {environment.get("device", "unknown")}
- Time: {note["seconds"]:.0f} s for this page; {made:.0f} s to compute the {len(artefacts)} artefacts behind it,
  which later runs read from the store
:::
"""


def _bundle(results: Path, chapter: str, file: Path) -> None:
    """What the chapter left but for its notebook, as one archive: figures and tables with their captions, numbers,
    provenance, and the source."""
    file.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for note in [*leavings.notes(results, "figures", chapter), *leavings.notes(results, "tables", chapter)]:
            for part in sorted(note.parent.glob(f"{note.stem}.*")):
                archive.write(part, f"{file.stem}/{note.parent.name}/{part.name}")
        archive.writestr(f"{file.stem}/numbers.json", json.dumps(leavings.numbers(results, chapter), indent=1))
        archive.write(results / "provenance" / f"{chapter}.json", f"{file.stem}/provenance.json")
        archive.write(paths.CHAPTERS / f"{chapter}.py", f"{file.stem}/{chapter}.py")


VERSIONS = ("python", "saltrust", "torch", "torchvision", "numpy", "scikit-image")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.is_file():
        target.parent.mkdir(exist_ok=True)
        shutil.copy(source, target)
