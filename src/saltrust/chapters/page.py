"""What a chapter writes: figures with caption and alternative text, tables, numbers that the prose quotes."""

import os
import shutil
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from IPython import get_ipython
from IPython.display import display

from saltrust.artefacts.sidecar import environment
from saltrust.chapters import plain_papermill
from saltrust.chapters.chapter import MIME, load
from saltrust.chapters.notes import DocumentNote, FigureNote, Note, Origin, TableNote, write_json
from saltrust.chapters.results_folder import OUT, Results, by_hand
from saltrust.core.errors import SaltrustError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from saltrust.artefacts.artefact import Artefact
    from saltrust.study.study import Study

DPI = 180


class Page:
    """The results of one chapter on one data set, as the notebook makes them.

    They go where `saltrust run` or `publish` says. A notebook that is run by hand writes to `results/by_hand/`, so that
    the published results stay untouched. `results` says how the folder looks.
    """

    def __init__(self, chapter: str, study: "Study"):
        self.chapter = chapter
        self.study = study
        if OUT in os.environ:
            self.results = Results(Path(os.environ[OUT]), chapter)
        else:
            given = plain_papermill.given_to(load(chapter))
            self.results = by_hand(study.profile.name, study.card.name, chapter, given)
        self._empty = OUT in os.environ  # a folder of its own, in which nothing lies
        self._numbers: dict[str, float | int | str] = {}
        self._origins: dict[str, Origin] = {}

    def figure(
        self,
        figure: "Figure",
        name: str,
        caption: str,
        alt: str,
        counterpart: str = "",
        source: str = "arun2021assessing",
        tabs: tuple[str, ...] = (),
    ) -> None:
        """Save a figure as figures/<name>.png and show it.

        Args:
            figure: It is closed.
            name: Of the file.
            caption: What it shows and what to see in it (MyST).
            alt: What a reader who cannot see it must know.
            counterpart: The figure of a paper that it repeats ("Fig. 2a"), added to the caption.
            source: BibTeX key of that paper.
            tabs: Where the figure stands among those of one cell, in tabs within tabs.

        Raises:
            SaltrustError: without either text.
        """
        import matplotlib.pyplot as plt

        if not caption.strip() or not alt.strip():
            raise SaltrustError(f"figure '{name}' of chapter '{self.chapter}' needs a caption and an alternative text")
        if counterpart:
            caption += f" Counterpart of {counterpart} of {{cite:t}}`{source}`."
        note = FigureNote(
            name=name, caption=caption, alt=alt, chapter=self.chapter, counterpart=counterpart, tabs=tabs,
            **asdict(self._origin()),
        )  # fmt: skip
        file = self._ready(self.results.file(note))
        figure.savefig(file, dpi=DPI, bbox_inches="tight", facecolor="white")
        plt.close(figure)
        self._leave(note, {"image/png": file, "text/plain": f"{caption}\n[{alt}]"})

    def table(
        self, table: "pd.DataFrame", name: str, caption: str, rows: int | None = None, key: Sequence[str] = ()
    ) -> None:
        """Save a table as tables/<name>.csv, every digit kept, and show it rounded.

        Args:
            table: Its index is left out.
            name: Of the file.
            caption: What it shows (MyST).
            rows: How many are shown, from the first; None for all.
            key: Columns that tell its rows apart, by which `saltrust compare` finds each row in the table of another
                run. Without them it leaves the table out.

        Raises:
            SaltrustError: without a caption, or where two rows have the same key.
        """
        if not caption.strip():
            raise SaltrustError(f"table '{name}' of chapter '{self.chapter}' needs a caption")
        if key and table.duplicated([*key]).any():
            raise SaltrustError(f"table '{name}' of chapter '{self.chapter}': two rows have the same {', '.join(key)}")
        note = TableNote(
            name=name, caption=caption, chapter=self.chapter, rows=rows, key=tuple(key), **asdict(self._origin())
        )
        table.to_csv(self._ready(self.results.file(note)), index=False)
        first = table.head(rows) if rows else table
        shown = first.to_html(index=False, float_format="{:.3g}".format)
        self._leave(note, {"text/html": shown, "text/plain": first.to_string(index=False)})

    def document(self, html: str, name: str, tabs: tuple[str, ...] = ()) -> None:
        """Save a page of HTML as tables/<name>.html, beside the table of that name, and show it.

        Args:
            html: A page that needs no other file.
            name: Of the file.
            tabs: As in `figure`.
        """
        note = DocumentNote(name=name, chapter=self.chapter, tabs=tabs)
        self._ready(self.results.file(note)).write_text(html, encoding="utf-8")
        frame = f'<iframe srcdoc="{escape(html)}" width="100%" height="1200"></iframe>'
        _show(note, {"text/html": frame, "text/plain": f"{name}.html"})

    def quote(self, **values: float | int | str | np.number) -> None:
        """Keep numbers (or words) that prose will quote, as `<chapter>/<name>` in numbers.json."""
        origin = self._origin()
        for name, value in values.items():
            plain = value.item() if isinstance(value, np.generic) else value
            if not isinstance(plain, bool | int | float | str):
                raise SaltrustError(
                    f"quote '{name}' of chapter '{self.chapter}' must be a number or text, not {plain!r}"
                )
            self._numbers[f"{self.chapter}/{name}"] = plain
            self._origins[name] = origin
        write_json(self._ready(self.results.numbers_file), self._numbers)

    def close(self) -> None:
        """Write down what the page was made from; the last call of every chapter."""
        store = self.study.store
        used = [{"artefact": one.path, "seconds": store.sidecar(one)["seconds"]} for one in self._artefacts()]
        note = {"chapter": self.chapter, "parameters": self._parameters(), "environment": environment()}
        note |= {"artefacts": used, "numbers": {name: asdict(origin) for name, origin in self._origins.items()}}
        write_json(self._ready(self.results.provenance_file), note)

    def _parameters(self) -> dict[str, Any]:
        """What the notebook's parameters are, as it runs; outside one nothing is known of them."""
        shell = get_ipython()
        names = shell.user_ns if shell else {}
        return {p.name: names[p.name] for p in load(self.chapter).parameters if p.name in names}

    def _artefacts(self) -> list["Artefact"]:
        """The stored artefacts that the chapter has asked for so far, in that order."""
        return [one for one in self.study.store.used.values() if not one.transient]

    def _origin(self) -> Origin:
        shell = get_ipython()
        return Origin(cell=shell.execution_count if shell else None, artefacts=len(self._artefacts()))

    def _ready(self, file: Path) -> Path:
        """A file to write, with its folder."""
        if not self._empty:  # what the notebook left when it was last run by hand, maybe with other parameters
            shutil.rmtree(self.results.folder, ignore_errors=True)
            self._empty = True
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def _leave(self, note: Note, bundle: dict[str, Any]) -> None:
        """Write the note beside its file, and show the result."""
        write_json(self.results.file(note).with_suffix(".json"), note.as_json())
        _show(note, bundle)


def _show(note: Note, bundle: dict[str, Any]) -> None:
    """Show an output in the notebook, if there is one. bundle: by type; a path stands for what is in the file."""
    if get_ipython() is None:
        return
    plain = {
        kind: b64encode(one.read_bytes()).decode() if isinstance(one, Path) else one for kind, one in bundle.items()
    }
    display(plain | {MIME: note.as_json()}, raw=True)
