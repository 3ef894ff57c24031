"""Package the results of a profile as an RO-Crate, to be deposited: https://www.researchobject.org/ro-crate/.

The crate conforms to Process Run Crate 0.5 (each chapter on each data set is an action with its parameters, inputs,
results, times and software) and to Workflow RO-Crate 1.0 (its main entity is the Snakefile). It is no Workflow Run
Crate: what a book shows need not come from one run of the workflow.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from pybtex.database import Entry, parse_file
from rocrate.model import ContextEntity
from rocrate.rocrate import ROCrate

from saltrust import chapters
from saltrust.artefacts.store import commit
from saltrust.core import data_cards, paths
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.core.progress import track
from saltrust.publishing import provenance
from saltrust.publishing.provenance import RUN, Executed, Lineage

# The project's files that a crate holds, beside the results.
SOURCES = ("README.md", "LICENSE", "CITATION.cff", "pyproject.toml", "requirements.lock", "environment.yml")
SPDX = "https://spdx.org/licenses/"
LICENCE = f"{SPDX}Apache-2.0"  # the project's; also that of results which show no images of others
# Licences under which figures, which show images of the data, may be passed on.
OPEN = ("Apache-2.0", "CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-4.0", "MIT", "ODC-By-1.0", "PDDL-1.0")
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
NO_SOFTWARE = ("saltrust", "machine", "device", "threads", "commit")  # in an environment
TIMES = {"startTime": "start_time", "endTime": "end_time"}  # in an executed notebook
COMPANION = "arun2021assessing"  # the study that the project accompanies
FORMATS = {
    ".png": "image/png",
    ".csv": "text/csv",
    ".json": "application/json",
    ".ipynb": "application/x-ipynb+json",
    ".html": "text/html",
    ".py": "text/x-python",
    ".md": "text/markdown",
    ".yaml": "application/yaml",
}


def write(profile: str, output: Path, datasets: Sequence[str] = ()) -> Path:
    """Write the published results of a profile as a folder or, where the name ends in .zip, an archive; returns it.

    datasets: names of data cards, by default all of the project's of which a chapter was run; the card of a user's own
    model says where its files lie. Pictures of data whose licence is not
    among OPEN stay out: figures, and pages and notebooks that hold them. The output appears when all of it is there.
    Raises SaltrustError where it exists already, or where there is nothing to put into it.
    """
    if output.exists():
        raise SaltrustError(f"{output} exists already; a crate is not written over it")
    found = [provenance.read(data_cards.load(name), profile) for name in datasets or data_cards.names()]
    found = [one for one in found if any(executed.state == RUN for executed in one.chapters)]
    if absent := set(datasets) - {one.dataset for one in found}:
        raise SaltrustError(f"no chapter was run on {', '.join(sorted(absent))} under the profile '{profile}'")
    if not found:
        raise SaltrustError(
            f"nothing is published under the profile '{profile}' in {paths.RESULTS}; `make book` does it"
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".crate-", dir=output.parent) as temporary:
        folder = Path(temporary) / "crate"
        folder.mkdir()
        crate = _Crate(folder, profile, [data_cards.load(one.dataset) for one in found])
        for one in track(found, "packaging", len(found)):
            crate.add_results(one)
        crate.write_metadata()
        whole = folder
        if output.suffix == ".zip":
            whole = Path(shutil.make_archive(str(folder), "zip", folder))
        os.replace(whole, output)
    return output


class _Crate:
    """A crate that is being put together in a folder: files are copied there, and described."""

    def __init__(self, folder: Path, profile: str, data: Sequence[Card]):
        self.folder = folder
        self.crate = ROCrate(version="1.1")
        self.data = {card.name: card for card in data}
        self.papers = parse_file(str(paths.BOOK / "references.bib")).entries
        self._root(profile)
        self._sources()

    def _root(self, profile: str) -> None:
        root, about = self.crate.root_dataset, yaml.safe_load((paths.PROJECT / "CITATION.cff").read_text("utf-8"))
        titles = ", ".join(card.title for card in self.data.values())
        root["name"] = f"{about['title']} Results of the profile {profile}: {titles}"
        closed = [card.title for card in self.data.values() if not _open(card)]
        root["description"] = (
            "Figures, tables, numbers and executed notebooks of a reproducible study on whether the saliency maps of "
            "image classifiers can be trusted, with the code, notebooks and data cards that made them, and what is "
            f"behind each result. Data: {titles}. Figures show images of the data, under the licences of these. "
            + (f"Figures and executed notebooks of {', '.join(closed)} are left out. " if closed else "")
            + f"Packaged from commit {commit()}; each run names its own."
        )
        root["datePublished"] = datetime.now(UTC).date().isoformat()
        root["keywords"] = ["saliency maps", "explainable AI", "medical imaging", "reproducibility", "deep learning"]
        root["version"] = about["version"]
        root["author"] = [self._author(author) for author in about["authors"]]
        root["license"] = self._licence("Apache-2.0")
        papers = {COMPANION, *(key for card in self.data.values() for key in card.cite)}
        root["citation"] = self._papers(sorted(papers))
        root["conformsTo"] = self._context(PROFILE, "CreativeWork", name="Process Run Crate", version="0.5")

    def _sources(self) -> None:
        """The project's own files; the notebooks of the chapters, and the data cards, each by itself."""
        for name in SOURCES:
            if (paths.PROJECT / name).exists():
                self._copy(paths.PROJECT / name, name)
        self._file("README.md", about=self.crate.root_dataset, name="Read me first")
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc", paths.BROUGHT.name)
        shutil.copytree(paths.PACKAGE, self.folder / "src" / "saltrust", ignore=ignored)
        code = {"name": "The package saltrust", "description": "Python code that the notebooks call"}
        self.crate.add_dataset(dest_path="src/", properties=code)
        language = self._context("https://www.python.org/", "ComputerLanguage", name="Python")
        self.notebooks = {
            name: self._copy(
                paths.CHAPTERS / f"{name}.py",
                f"notebooks/{name}.py",
                **{"@type": ["File", "SoftwareSourceCode"]},
                name=chapters.load(name).title,
                description=f"The notebook of the chapter {name} (jupytext, py:percent)",
                programmingLanguage=language,
                version=version("saltrust"),
            )
            for name in dict.fromkeys(name for card in self.data.values() for name in chapters.of(card))
        }
        self._copy(paths.PROJECT / "workflow" / "Snakefile", "workflow/Snakefile")
        self.crate.add_workflow(
            dest_path="workflow/Snakefile",
            main=True,
            lang="snakemake",
            properties={
                "name": "The chapters of every data set",
                "description": "Runs the chapters in order, for each data set, by `saltrust publish`",
                "version": version("saltrust"),
                "license": {"@id": LICENCE},
                "encodingFormat": "text/plain",
                "hasPart": list(self.notebooks.values()),
                "conformsTo": self._context(
                    "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE",
                    "CreativeWork",
                    name="Bioschemas ComputationalWorkflow profile",
                    version="1.0-RELEASE",
                ),
            },
        )

    def add_results(self, found: Lineage) -> None:
        """The results of one data set, and an action for each chapter that made them."""
        card, results = self.data[found.dataset], paths.results_of(found.profile, found.dataset)
        base = f"results/{card.name}"
        data = self._context(
            f"#data-{card.name}",
            "CreativeWork",
            name=card.title,
            description=f"{card.summary or card.title} Licence: {card.licence}.",
            license=self._licence(card.licence),
            citation=self._papers(card.cite),
            subjectOf=self._copy(
                card.folder / f"{card.name}.yaml", f"data_cards/{card.name}.yaml", name=f"Data card: {card.title}"
            ),
        )
        self._write(json.dumps(provenance.document(found), indent=1), f"{base}/lineage.json")
        behind = self._file(
            f"{base}/lineage.json",
            name=f"What is behind the results: {card.title}",
            description="Every chapter, result and artefact: parameters, upstream, checksums, sizes, seconds, versions",
        )
        numbers = self._copy(
            results / "numbers.json", f"{base}/numbers.json", name=f"The numbers that the prose quotes: {card.title}"
        )
        for executed in found.chapters:
            if executed.state == RUN:
                self._action(found, executed, card, [data, behind], numbers)

    def _action(
        self, found: Lineage, executed: Executed, card: Card, inputs: list[Any], numbers: ContextEntity
    ) -> None:
        chapter, results = executed.chapter, paths.results_of(found.profile, card.name)
        base = f"results/{card.name}"
        notebook = json.loads((results / "notebooks" / f"{chapter}.ipynb").read_text(encoding="utf-8"))
        times = notebook["metadata"].get("papermill", {})
        licensed = {"license": self._licence(card.licence)}
        made = [
            numbers,
            self._copy(
                results / "provenance" / f"{chapter}.json",
                f"{base}/provenance/{chapter}.json",
                name=f"Provenance of the chapter {chapter}, {card.title}",
            ),
        ]
        if _open(card):
            for key in ("input_path", "output_path"):  # of the machine that it ran on
                times.pop(key, None)
            self._write(json.dumps(notebook, indent=1), f"{base}/notebooks/{chapter}.ipynb")
            title = f"{executed.title}, {card.title}: executed notebook"
            made.append(self._file(f"{base}/notebooks/{chapter}.ipynb", name=title, **licensed))
        for result in executed.results:
            made += self._result(results, base, result.kind, result.name, card)
        self._context(
            f"#run-{card.name}-{chapter}",
            "CreateAction",
            name=f"{executed.title}, {card.title}",
            instrument=[self.notebooks[chapter], self._software(executed.environment)],
            object=[
                *inputs,
                *(self._parameter(executed, card, name, value) for name, value in executed.parameters.items()),
            ],
            result=made,
            actionStatus="http://schema.org/CompletedActionStatus",
            description=_told(found, executed),
            **{name: _seconds(times[key]) for name, key in TIMES.items() if key in times},
        )
        self.crate.root_dataset.append_to("mentions", {"@id": f"#run-{card.name}-{chapter}"})

    def _result(self, results: Path, base: str, kind: str, name: str, card: Card) -> Iterable[ContextEntity]:
        """The files of a figure or table."""
        note = results / f"{kind}s" / f"{name}.json"
        if kind == "number" or (kind == "figure" and not _open(card)):
            return
        about = json.loads(note.read_text(encoding="utf-8"))
        licensed = {"license": self._licence(card.licence)}
        told = {"name": f"{kind} {name}, {card.title}", "description": _plain(about["caption"])}
        if kind == "figure":
            told |= {"accessibilitySummary": about["alt"], **licensed}
        suffixes = {"figure": (".png",), "table": (".csv", ".html") if _open(card) else (".csv",)}[kind]
        for suffix in suffixes:
            if (file := note.with_suffix(suffix)).exists():
                yield self._copy(file, f"{base}/{kind}s/{file.name}", **told)
        yield self._copy(note, f"{base}/{kind}s/{note.name}", name=f"About the {kind} {name}, {card.title}")

    # --- entities -----------------------------------------------------------------------------------------------------

    def _context(self, id: str, type: str, **properties: Any) -> ContextEntity:
        return self.crate.add(ContextEntity(self.crate, id, properties={"@type": type} | properties))

    def _copy(self, source: Path, target: str, **properties: Any) -> Any:
        (self.folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, self.folder / target)
        return self._file(target, **properties)

    def _write(self, text: str, target: str) -> None:
        (self.folder / target).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / target).write_text(text, encoding="utf-8")

    def _file(self, target: str, **properties: Any) -> Any:
        """Describe a file that lies in the folder."""
        file = self.folder / target
        known = {"name": target, "contentSize": str(file.stat().st_size), "license": {"@id": LICENCE}}
        known |= {"encodingFormat": FORMATS.get(file.suffix, "text/plain")}
        return self.crate.add_file(dest_path=target, properties=known | properties)

    def _licence(self, text: str) -> ContextEntity:
        """A licence by what a card says of it: by its SPDX name, if that is the first word."""
        first = text.partition(" ")[0]
        id = f"{SPDX}{first}" if first in OPEN else f"#licence-{re.sub('[^a-z0-9]+', '-', text.lower())[:40]}"
        return self._context(id, "CreativeWork", name=first if first in OPEN else text)

    def _author(self, author: Mapping[str, str]) -> ContextEntity:
        if "family-names" not in author:
            return self._context(f"#{_slug(author['name'])}", "Organization", name=author["name"])
        name = f"{author['given-names']} {author['family-names']}"
        return self._context(author.get("orcid", f"#{_slug(name)}"), "Person", name=name)

    def _papers(self, keys: Iterable[str]) -> list[ContextEntity]:
        """What the book's bibliography says of those of these keys that it has."""
        return [self._paper(key, self.papers[key]) for key in keys if key in self.papers]

    def _paper(self, key: str, entry: Entry) -> ContextEntity:
        fields = entry.fields
        id = f"https://doi.org/{fields['doi']}" if "doi" in fields else fields.get("url", f"#{key}")
        names = "; ".join(str(person) for person in entry.persons.get("author", []))
        title = re.sub(r"[{}]", "", fields["title"])
        return self._context(id, "ScholarlyArticle", name=title, author=names, datePublished=fields["year"])

    def _software(self, environment: Mapping[str, str]) -> ContextEntity:
        """saltrust as it ran: its commit, and the versions of what it calls."""
        needed = [
            self._context(
                f"{_home(name)}#{number}", "SoftwareApplication", name=name, softwareVersion=number, url=_home(name)
            )
            for name, number in environment.items()
            if name not in NO_SOFTWARE
        ]
        told = environment.get("commit", "not known")
        where = "; ".join(f"{name} {environment.get(name, 'not known')}" for name in ("machine", "device", "threads"))
        whole = hashlib.sha256(json.dumps(dict(environment), sort_keys=True).encode()).hexdigest()[:8]
        return self._context(
            f"#saltrust-{_slug(told)}-{whole}",
            "SoftwareApplication",
            name="saltrust",
            softwareVersion=f"{environment.get('saltrust', 'not known')}, commit {told}",
            description=f"Ran on: {where}",
            softwareRequirements=needed,
        )

    def _parameter(self, executed: Executed, card: Card, name: str, value: Any) -> ContextEntity:
        help = {parameter.name: parameter.help for parameter in chapters.load(executed.chapter).parameters}
        id = f"#{card.name}-{executed.chapter}-{name}"
        return self._context(id, "PropertyValue", name=name, value=value, description=help.get(name, name))

    def write_metadata(self) -> None:
        metadata = self.crate.metadata.generate()
        metadata["@graph"] = [
            {name: _compact(value) for name, value in entity.items() if value != []} for entity in metadata["@graph"]
        ]
        (self.folder / "ro-crate-metadata.json").write_text(json.dumps(metadata, indent=1), encoding="utf-8")


def _told(found: Lineage, executed: Executed) -> str:
    """What a run asked for, in words."""
    behind = found.behind(executed.artefacts)
    return (
        f"Asked for {len(executed.artefacts)} artefacts, which with what they were made from are {len(behind)} "
        f"({sum(one.size for one in behind) / 1e6:.1f} MB, {sum(one.seconds for one in behind):.0f} s to compute). "
        "They are listed with their checksums in lineage.json of the data set, and are not part of this crate."
    )


def _open(card: Card) -> bool:
    return card.licence.partition(" ")[0] in OPEN


def _plain(text: str) -> str:
    """A caption without the roles of its markup."""
    return re.sub(r"\{[\w:-]+\}`([^`]*)`", r"\1", text)


def _home(package: str) -> str:
    return "https://www.python.org/" if package == "python" else f"https://pypi.org/project/{package}/"


def _seconds(time: str) -> str:
    """An ISO 8601 time, to the second."""
    return datetime.fromisoformat(time).isoformat(timespec="seconds")


def _compact(value: Any) -> Any:
    """The one value of a list that has one: RO-Crate's metadata are compact JSON-LD."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


_slug = partial(re.sub, "[^A-Za-z0-9.]+", "-")
