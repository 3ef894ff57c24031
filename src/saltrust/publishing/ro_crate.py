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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from io import StringIO
from mimetypes import MimeTypes
from pathlib import Path
from typing import Any

import yaml
from pybtex.database import Entry, parse_file
from rocrate.model import ContextEntity
from rocrate.rocrate import ROCrate

from saltrust import chapters
from saltrust.artefacts.sidecar import commit
from saltrust.chapters.notes import read_json
from saltrust.chapters.results_folder import Results, published
from saltrust.core import data_cards, paths
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.core.markup import unescaped
from saltrust.core.progress import track
from saltrust.publishing import provenance
from saltrust.publishing.provenance import RUN, DatasetProvenance, ExecutedChapter

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
FORMATS = MimeTypes()  # without those of the system, which differ
FORMATS.add_type("application/x-ipynb+json", ".ipynb")
FORMATS.add_type("application/yaml", ".yaml")
FORMATS.add_type("text/markdown", ".md")


def write(profile: str, output: Path, datasets: Sequence[str] = ()) -> Path:
    """Write the published results of a profile as a crate.

    Pictures of data whose licence is not among OPEN stay out: figures, and pages and notebooks that hold them. The
    output appears when all of it is there.

    Args:
        profile: Name of a profile.
        output: The folder or, where the name ends in .zip, the archive; it must not exist.
        datasets: Names of data cards, by default all of the project's of which a chapter was run. The card of a user's
            own model says where its files lie.

    Returns:
        The output.

    Raises:
        SaltrustError: where the output exists already, or where there is nothing to put into it.
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
    crate = _Crate(profile, [data_cards.load(one.dataset) for one in found])
    for one in track(found, "packaging", len(found)):
        crate.add_results(one)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".crate-", dir=output.parent) as temporary:
        whole = Path(temporary) / "crate"
        crate.write(whole)
        if output.suffix == ".zip":
            whole = Path(shutil.make_archive(str(whole), "zip", whole))
        os.replace(whole, output)
    return output


class _Crate:
    """A crate that is being put together: rocrate holds what its files are, and copies them when it is written."""

    def __init__(self, profile: str, cards: Sequence[Card]):
        self.crate = ROCrate(version="1.1")
        self.cards = {card.name: card for card in cards}
        self.papers = parse_file(str(paths.BOOK / "references.bib")).entries
        self._root(profile)
        self._sources()

    def write(self, folder: Path) -> None:
        self.crate.write(folder)
        for left in [*folder.rglob("__pycache__"), folder / "src" / "saltrust" / paths.BROUGHT.name]:
            shutil.rmtree(left, ignore_errors=True)

    def _root(self, profile: str) -> None:
        root, about = self.crate.root_dataset, yaml.safe_load((paths.PROJECT / "CITATION.cff").read_text("utf-8"))
        cards = self.cards.values()
        titles = ", ".join(card.title for card in cards)
        closed = ", ".join(card.title for card in cards if not _open(card))
        papers = {COMPANION, *(key for card in cards for key in card.cite)}
        described = {
            "name": f"{about['title']} Results of the profile {profile}: {titles}",
            "description": (
                "Figures, tables, numbers and executed notebooks of a reproducible study on whether the saliency maps "
                "of image classifiers can be trusted, with the code, notebooks and data cards that made them, and what "
                f"is behind each result. Data: {titles}. Figures show images of the data, under the licences of these. "
                + (f"Figures and executed notebooks of {closed} are left out. " if closed else "")
                + f"Packaged from commit {commit()}; each run names its own."
            ),
            "datePublished": datetime.now(UTC).date().isoformat(),
            "keywords": ["saliency maps", "explainable AI", "medical imaging", "reproducibility", "deep learning"],
            "version": about["version"],
            "author": [self._author(author) for author in about["authors"]],
            "license": self._licence("Apache-2.0"),
            "citation": self._papers(sorted(papers)),
            "conformsTo": self._context(PROFILE, "CreativeWork", name="Process Run Crate", version="0.5"),
        }
        for name, value in _compact(described).items():
            root[name] = value

    def _sources(self) -> None:
        """The project's own files; the notebooks of the chapters, and the data cards, each by itself."""
        for name in SOURCES:
            if (paths.PROJECT / name).exists():
                readme = {"about": self.crate.root_dataset, "name": "Read me first"} if name == "README.md" else {}
                self._file(paths.PROJECT / name, name, **readme)
        package = {"name": "The package saltrust", "description": "Python code that the notebooks call"}
        self.crate.add_dataset(paths.PACKAGE, "src/saltrust/", properties=package)
        language = self._context("https://www.python.org/", "ComputerLanguage", name="Python")
        self.notebooks = {
            name: self._file(
                paths.CHAPTERS / f"{name}.py",
                f"notebooks/{name}.py",
                **{"@type": ["File", "SoftwareSourceCode"]},
                name=chapters.load(name).title,
                description=f"The notebook of the chapter {name} (jupytext, py:percent)",
                programmingLanguage=language,
                version=version("saltrust"),
            )
            for name in dict.fromkeys(name for card in self.cards.values() for name in chapters.of(card))
        }
        bioschemas = self._context(
            "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE",
            "CreativeWork",
            name="Bioschemas ComputationalWorkflow profile",
            version="1.0-RELEASE",
        )
        self.crate.add_workflow(
            paths.PROJECT / "workflow" / "Snakefile",
            "workflow/Snakefile",
            main=True,
            lang="snakemake",
            properties={
                "name": "The chapters of every data set",
                "description": "Runs the chapters in order, for each data set, by `saltrust publish`",
                "version": version("saltrust"),
                "license": {"@id": LICENCE},
                "encodingFormat": "text/plain",
                "hasPart": list(self.notebooks.values()),
                "conformsTo": bioschemas,
            },
        )

    def add_results(self, found: DatasetProvenance) -> None:
        """The results of one data set, and an action for each chapter that made them."""
        card, base = self.cards[found.dataset], f"results/{found.dataset}"
        about = self._file(
            card.folder / f"{card.name}.yaml", f"data_cards/{card.name}.yaml", name=f"Data card: {card.title}"
        )
        data = self._context(
            f"#data-{card.name}",
            "CreativeWork",
            name=card.title,
            description=f"{card.summary or card.title} Licence: {card.licence}.",
            license=self._licence(card.licence),
            citation=self._papers(card.cite),
            subjectOf=about,
        )
        behind = self._file(
            StringIO(json.dumps(provenance.document(found), indent=1)),
            f"{base}/lineage.json",
            name=f"What is behind the results: {card.title}",
            description="Every chapter, result and artefact: parameters, upstream, checksums, sizes, seconds, versions",
        )
        ran = [executed for executed in found.chapters if executed.state == RUN]
        numbers = self._file(
            published(found.profile, card.name, ran[0].chapter).numbers_file,
            f"{base}/numbers.json",
            name=f"The numbers that the prose quotes: {card.title}",
        )
        for executed in ran:
            self._action(found, executed, card, [data, behind], numbers)

    def _action(
        self, found: DatasetProvenance, executed: ExecutedChapter, card: Card, inputs: list[Any], numbers: Any
    ) -> None:
        results = published(found.profile, card.name, executed.chapter)
        notebook = read_json(results.notebook)
        times = notebook["metadata"].get("papermill", {})
        properties = {
            "@type": "CreateAction",
            "name": f"{executed.title}, {card.title}",
            "actionStatus": "http://schema.org/CompletedActionStatus",
            "description": _description(found, executed),
            **{name: _seconds(times[key]) for name, key in TIMES.items() if key in times},
        }
        action = self.crate.add_action(
            instrument=[self.notebooks[executed.chapter], self._software(executed.environment)],
            identifier=f"#run-{card.name}-{executed.chapter}",
            object=[*inputs, *self._parameters(executed, card)],
            result=[numbers, *self._made(results, executed, card, notebook)],
            properties=properties,
        )
        self.crate.root_dataset.append_to("mentions", action, compact=True)

    def _made(
        self, results: Results, executed: ExecutedChapter, card: Card, notebook: dict[str, Any]
    ) -> Iterator[ContextEntity]:
        """The files of one chapter: provenance, executed notebook, figures and tables."""

        def leave(file: Path, source: Any = None, **properties: Any) -> ContextEntity:
            target = f"results/{card.name}/{file.relative_to(results.folder).as_posix()}"
            return self._file(source or file, target, **properties)

        licensed = {"license": self._licence(card.licence)}
        title = f"Provenance of the chapter {executed.chapter}, {card.title}"
        yield leave(results.provenance_file, name=title)
        if _open(card):
            for key in ("input_path", "output_path"):  # of the machine that it ran on
                notebook["metadata"].get("papermill", {}).pop(key, None)
            title = f"{executed.title}, {card.title}: executed notebook"
            yield leave(results.notebook, StringIO(json.dumps(notebook, indent=1)), name=title, **licensed)
        for note in [*results.figures(), *results.tables()] if _open(card) else results.tables():
            what = f"{note.kind} {note.name}, {card.title}"
            about = {"name": what, "description": _plain(note.caption)}
            if note.kind == "figure":
                about |= {"accessibilitySummary": note.alt, **licensed}
            file = results.file(note)
            for suffix in (".png", ".csv", ".html") if _open(card) else (".csv",):
                if (part := file.with_suffix(suffix)).exists():
                    yield leave(part, **about)
            yield leave(file.with_suffix(".json"), name=f"About the {what}")

    # --- entities -----------------------------------------------------------------------------------------------------

    def _context(self, id: str, type: str, **properties: Any) -> ContextEntity:
        return self.crate.add(ContextEntity(self.crate, id, properties={"@type": type} | _compact(properties)))

    def _file(self, source: Path | StringIO, target: str, **properties: Any) -> Any:
        """A file of the crate, by where it lies now, or its text."""
        known = {"name": target, "license": {"@id": LICENCE}}
        known |= {"encodingFormat": FORMATS.guess_type(target)[0] or "text/plain"}
        return self.crate.add_file(source, target, properties=known | properties, record_size=True)

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
        code = environment.get("commit", "not known")
        where = "; ".join(f"{name} {environment.get(name, 'not known')}" for name in ("machine", "device", "threads"))
        whole = hashlib.sha256(json.dumps(dict(environment), sort_keys=True).encode()).hexdigest()[:8]
        return self._context(
            f"#saltrust-{_slug(code)}-{whole}",
            "SoftwareApplication",
            name="saltrust",
            softwareVersion=f"{environment.get('saltrust', 'not known')}, commit {code}",
            description=f"Ran on: {where}",
            softwareRequirements=needed,
        )

    def _parameters(self, executed: ExecutedChapter, card: Card) -> Iterator[ContextEntity]:
        help = {parameter.name: parameter.help for parameter in chapters.load(executed.chapter).parameters}
        for name, value in executed.parameters.items():
            id = f"#{card.name}-{executed.chapter}-{name}"
            yield self._context(id, "PropertyValue", name=name, value=value, description=help.get(name, name))


def _description(found: DatasetProvenance, executed: ExecutedChapter) -> str:
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
    """A caption without the roles and escapes of its markup."""
    return unescaped(re.sub(r"\{[\w:-]+\}`([^`]*)`", r"\1", text))


def _home(package: str) -> str:
    return "https://www.python.org/" if package == "python" else f"https://pypi.org/project/{package}/"


def _seconds(time: str) -> str:
    """An ISO 8601 time, to the second."""
    return datetime.fromisoformat(time).isoformat(timespec="seconds")


def _compact(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The one value of a list that has one, and no empty lists: RO-Crate's metadata are compact JSON-LD."""
    known = {name: value for name, value in properties.items() if value != []}
    return {name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in known.items()}


_slug = partial(re.sub, "[^A-Za-z0-9.]+", "-")
