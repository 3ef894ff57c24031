"""What a chapter leaves behind: figures with caption and alternative text, tables, numbers that the prose quotes."""

import json
import os
import shutil
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from IPython import get_ipython
from IPython.display import display
from matplotlib.figure import Figure

from saltrust import chapters
from saltrust.artefacts.artefact import Artefact
from saltrust.artefacts.sidecar import environment
from saltrust.chapters.chapter import MIME
from saltrust.core import paths
from saltrust.core.errors import SaltrustError
from saltrust.study.study import Study

OUT = "SALTRUST_OUT"  # environment variable: where whoever executes the chapter wants its results
DPI = 180


class Page:
    """The results of one chapter on one data set.

    They go where `saltrust run` or `publish` says; a notebook that is run by hand writes to `results/by_hand/`, so that
    the published results stay untouched. `folder` holds figures/, tables/, numbers.json and provenance.json.
    """

    def __init__(self, chapter: str, study: Study):
        self.chapter = chapter
        self.study = study
        by_hand = paths.RESULTS / "by_hand" / study.profile.name / study.card.name / chapter
        self.folder = Path(os.environ.get(OUT, by_hand))
        self._empty = OUT in os.environ  # a folder of its own, in which nothing lies
        self.numbers: dict[str, float | int | str] = {}
        self.origins: dict[str, dict[str, int | None]] = {}  # of each number, as `_origin` has them

    def figure(
        self,
        figure: Figure,
        name: str,
        caption: str,
        alt: str,
        counterpart: str = "",
        source: str = "arun2021assessing",
        tabs: tuple[str, ...] = (),
    ) -> None:
        """Save a figure as figures/<name>.png and show it.

        caption: what it shows and what to see in it (MyST). alt: what a reader who cannot see it must know.
        counterpart: the figure of a paper that it repeats ("Fig. 2a"), added to the caption; source: that paper's
        BibTeX key. tabs: where the figure stands among those of one cell, in tabs within tabs. Raises SaltrustError
        without either text.
        """
        if not caption.strip() or not alt.strip():
            raise SaltrustError(f"figure '{name}' of chapter '{self.chapter}' needs a caption and an alternative text")
        if counterpart:
            caption += f" Counterpart of {counterpart} of {{cite:t}}`{source}`."
        file = self._file("figures", f"{name}.png")
        figure.savefig(file, dpi=DPI, bbox_inches="tight", facecolor="white")
        note = {"kind": "figure", "name": name, "caption": caption, "alt": alt, "chapter": self.chapter}
        note |= {"counterpart": counterpart, "tabs": tabs, **self._origin()}
        file.with_suffix(".json").write_text(json.dumps(note, indent=1), encoding="utf-8")
        _close(figure)
        _show({"image/png": file.read_bytes(), "text/plain": f"{caption}\n[{alt}]", MIME: note})

    def table(
        self, table: pd.DataFrame, name: str, caption: str, rows: int | None = None, key: Sequence[str] = ()
    ) -> None:
        """Save a table as tables/<name>.csv, every digit kept, and show it rounded.

        caption: MyST. rows: how many are shown, from the first, None for all. key: columns that tell its rows apart, by
        which `saltrust compare` finds each row in the table of another run; without them it leaves the table out.
        Raises SaltrustError without a caption, or where two rows have the same key.
        """
        if not caption.strip():
            raise SaltrustError(f"table '{name}' of chapter '{self.chapter}' needs a caption")
        if key and table.duplicated([*key]).any():
            raise SaltrustError(f"table '{name}' of chapter '{self.chapter}': two rows have the same {', '.join(key)}")
        file = self._file("tables", f"{name}.csv")
        table.to_csv(file, index=False)
        note = {"kind": "table", "name": name, "caption": caption, "chapter": self.chapter, "rows": rows, "key": [*key]}
        note |= self._origin()
        file.with_suffix(".json").write_text(json.dumps(note, indent=1), encoding="utf-8")
        first = table.head(rows) if rows else table
        shown = first.to_html(index=False, float_format="{:.3g}".format)
        _show({"text/html": shown, "text/plain": first.to_string(index=False), MIME: note})

    def document(self, html: str, name: str, tabs: tuple[str, ...] = ()) -> None:
        """Save a page of HTML that needs no other file as tables/<name>.html, beside the table of that name, and show
        it. tabs: as in `figure`."""
        self._file("tables", f"{name}.html").write_text(html, encoding="utf-8")
        note = {"kind": "document", "name": name, "chapter": self.chapter, "tabs": tabs}
        frame = f'<iframe srcdoc="{escape(html)}" width="100%" height="1200"></iframe>'
        _show({"text/html": frame, "text/plain": f"{name}.html", MIME: note})

    def quote(self, **values: float | int | str | np.number) -> None:
        """Keep numbers (or words) that prose will quote, as `<chapter>/<name>` in numbers.json."""
        origin = self._origin()
        for name, value in values.items():
            plain = value.item() if isinstance(value, np.generic) else value
            if not isinstance(plain, bool | int | float | str):
                raise SaltrustError(
                    f"quote '{name}' of chapter '{self.chapter}' must be a number or text, not {plain!r}"
                )
            self.numbers[f"{self.chapter}/{name}"] = plain
            self.origins[name] = origin
        file = self._file("", "numbers.json")
        file.write_text(json.dumps(self.numbers, indent=1), encoding="utf-8")

    def close(self) -> None:
        """Write down what the page was made from; the last call of every chapter."""
        store = self.study.store
        asked = self._asked()
        used = [{"artefact": spec.path, "seconds": store.sidecar(spec)["seconds"]} for spec in asked]
        note = {"chapter": self.chapter, "parameters": self._parameters(), "environment": environment()}
        note |= {"artefacts": used, "numbers": self.origins}
        self._file("", "provenance.json").write_text(json.dumps(note, indent=1), encoding="utf-8")

    def _parameters(self) -> dict[str, Any]:
        """What the notebook's parameters are, as it runs; outside one nothing is known of them."""
        shell = get_ipython()
        names = shell.user_ns if shell else {}
        return {p.name: names[p.name] for p in chapters.load(self.chapter).parameters if p.name in names}

    def _asked(self) -> list[Artefact]:
        """The stored artefacts that the chapter has asked for so far, in that order."""
        return [spec for spec in self.study.store.used.values() if not spec.transient]

    def _origin(self) -> dict[str, int | None]:
        """Where a result is made: `cell`, its number in the executed notebook (None outside one), and `artefacts`, how
        many had been asked for by then: what it was made from is among these first ones of the list that `close`
        writes."""
        shell = get_ipython()
        return {"cell": shell.execution_count if shell else None, "artefacts": len(self._asked())}

    def _file(self, kind: str, name: str) -> Path:
        if not self._empty:  # what the notebook left when it was last run by hand, maybe with other parameters
            shutil.rmtree(self.folder, ignore_errors=True)
            self._empty = True
        folder = self.folder / kind
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name


def _close(figure: Figure) -> None:
    import matplotlib.pyplot as plt

    plt.close(figure)


def _show(bundle: dict[str, Any]) -> None:
    """Show an output in the notebook, if there is one."""
    if get_ipython() is None:
        return
    if isinstance(bundle.get("image/png"), bytes):
        bundle["image/png"] = b64encode(bundle["image/png"]).decode()
    display(bundle, raw=True)
