"""Chapters: notebooks with typed parameters. Inspect them, and check what a user gives before any work."""

import ast
import io
import shlex
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from saltrust.chapters.kinds import KINDS
from saltrust.core import data_cards, paths
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError, unknown_name

ALWAYS = ("dataset", "profile")  # parameters that a command names even where they are the defaults
MIME = "application/vnd.saltrust+json"  # marks an output of a notebook as a saved figure or table

# Each chapter with those whose artefacts it shares, so that two of them never compute the same at once; in the order
# of the book. The first ones are about graded truth, and only data sets that have it have them.
_GRADED = {
    "atlas": (),
    "branches": ("atlas",),
    "five_band": ("branches",),
    "fair_comparison": ("five_band",),
    "heatmaps": ("fair_comparison",),
    "depth": ("branches",),
}
_ALWAYS = {
    "dataset": (),
    "models": ("dataset",),
    "gallery": ("models",),
    "every_method": ("gallery",),
    "libraries": ("every_method",),
    "localization": ("gallery",),
    "randomization": ("localization",),
    "repeatability": ("localization",),
    "statistics": ("randomization", "repeatability"),
    "verdict": ("randomization", "repeatability"),
    "report_card": ("verdict",),
    "multiverse": ("verdict",),
    "audit": ("verdict",),
}
_SHORTCUT = {"shortcut": ("localization",)}  # of data sets whose card names one
_SEVERAL = {"multilabel": ("dataset",), "alarm": ("multilabel",)}  # of those with several findings
_READ = {"readers": ("localization",), "subgroups": ("readers",)}  # of those whose readers' drawings are kept apart
_CONTRAST = {"shapley": ("dataset",)}  # of those whose maps are to tell two classes apart
_CLAIMS = {"claims": ("multiverse", "alarm", "readers", "shapley")}  # whatever they are about
_ALL = _GRADED | _ALWAYS | _SEVERAL | _READ | _CONTRAST | _CLAIMS | _SHORTCUT
NAMES = tuple(_ALL)

# Chapters about networks that are trained here, which a user's own models have not; and those that need two networks.
_TRAINED_HERE = ("every_method", "libraries", "statistics", "multiverse", "audit")
_OF_TWO = ("repeatability",)


def of(card: Card) -> dict[str, tuple[str, ...]]:
    """The chapters of a data set in the order of the book, each with those that run before it.

    >>> of(data_cards.load("phantom-pneumonia"))["verdict"]
    ('randomization', 'repeatability')
    """
    suited = _suited(card)
    known = _suited(card.model_copy(update={"models": ()}))  # a card's choice holds for those that its models allow
    for name in card.chapters:
        if name not in known:
            raise SaltrustError(f"card '{card.name}': chapters: {unknown_name('chapter of it', name, known)}")
    chosen = suited & set(card.chapters) if card.chapters else suited
    return {name: tuple(one for one in _ALL[name] if one in chosen) for name in NAMES if name in chosen}


def _suited(card: Card) -> set[str]:
    several = {"dataset", *_SEVERAL} if len(card.findings) > 1 else set()
    read = set(_READ) if card.readers else set()
    if card.models:
        return several or (set(_ALWAYS) - set(_TRAINED_HERE + (_OF_TWO if len(card.models) < 2 else ()))) | read
    suited = set(_ALWAYS | _CLAIMS if card.truth != "none" else ()) | set(_GRADED if card.truth == "graded" else ())
    contrast = {"dataset", *_CONTRAST} if card.contrast else set()
    suited |= set(_SHORTCUT if card.shortcut_control else ()) | several | read | contrast
    return suited | set(_CLAIMS if (several or contrast) and card.plays else ())


@dataclass(frozen=True)
class Parameter:
    """One line of a chapter's `parameters` cell: `name = default  # kind: help`.

    Attributes:
        name: of the variable in the notebook.
        default: its value there, whose type all values have.
        kind: the name of what it may be, one of `kinds.KINDS`.
        help: what it means, as a short phrase.
    """

    name: str
    default: str | int | float | bool
    kind: str
    help: str

    @property
    def option(self) -> str:
        """What it is called on the command line, behind two dashes."""
        return self.name.replace("_", "-")

    def cast(self, text: str) -> str | int | float | bool:
        """A value from the command line in the type of the default.

        Raises:
            SaltrustError: the text is no value of that type.

        >>> Parameter("n_boot", 1000, "resamples", "of the images").cast("50")
        50
        """
        wanted = type(self.default)
        if wanted is bool:
            if text.lower() in ("true", "false"):
                return text.lower() == "true"
        elif wanted is str or (text.isascii() and "_" not in text):  # Python also reads ٣ and 1_0 as numbers
            try:
                return wanted(text)
            except ValueError:
                pass
        several = "".join(f" --{self.option} {one.strip()}" for one in text.split(","))
        hint = f"; several runs, one for each value:{several}" if "," in text else ""
        told = f"parameter '{self.name}': '{text}' is not of type {wanted.__name__}"
        raise SaltrustError(f"{told} (default: {self.default}){hint}")

    def check(self, value: str | int | float | bool, values: Mapping[str, Any]) -> None:
        """Refuse a value that is none of its kind.

        Args:
            value: in the type of the default.
            values: of all parameters, by name.

        Raises:
            SaltrustError: names the parameter, and what is allowed.
        """
        try:
            KINDS[self.kind](value, values)
        except SaltrustError as error:
            raise SaltrustError(f"parameter '{self.name}': {error}") from error


@dataclass(frozen=True)
class Chapter:
    """A notebook that can be run with other parameters.

    Attributes:
        name: as commands and links have it ("localization").
        title: its first heading.
        source: the notebook, as a script in cells (py:percent).
        parameters: of its cell tagged `parameters`, in order.
    """

    name: str
    title: str
    source: Path
    parameters: tuple[Parameter, ...]

    def given(self, values: Mapping[str, Any]) -> Iterator[tuple[Parameter, Any]]:
        """Each parameter with its value, the default where `values` has none. Values of other names, of parameters that
        the chapter once had, are left out."""
        for parameter in self.parameters:
            yield parameter, values.get(parameter.name, parameter.default)

    def command(self, values: Mapping[str, Any]) -> str:
        """What to type to run it with these values: data set, profile, and all that is not the default."""
        words = ["saltrust", "run", self.name]
        for parameter, value in self.given(values):
            if parameter.name in ALWAYS or value != parameter.default:
                words += [f"--{parameter.option}", str(value)]
                if words[-1].startswith("-"):  # else it would be read as an option
                    words[-2:] = ["=".join(words[-2:])]
        return shlex.join(words)


def load(name: str) -> Chapter:
    """The chapter of that name.

    Raises:
        SaltrustError: there is no such chapter, or its parameters cell cannot be read.
    """
    if name not in NAMES:
        raise unknown_name("chapter", name, NAMES)
    source = paths.CHAPTERS / f"{name}.py"
    text = source.read_text(encoding="utf-8")
    title = next(line.removeprefix("# # ") for line in text.splitlines() if line.startswith("# # "))
    return Chapter(name, title, source, _parameters(source, text))


def _parameters(source: Path, text: str) -> tuple[Parameter, ...]:
    cell = text.partition('# %% tags=["parameters"]\n')[2].partition("\n# %%")[0]
    if not cell:
        raise SaltrustError(f"{source}: no cell tagged 'parameters'")
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(cell).readline)
        if token.type == tokenize.COMMENT
    }
    found = []
    for node in ast.parse(cell).body:
        if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
            raise SaltrustError(f"{source}: the parameters cell holds more than `name = value  # kind: help` lines")
        try:
            default = ast.literal_eval(node.value)
        except ValueError:
            raise SaltrustError(f"{source}: parameter '{node.targets[0].id}' is not a plain constant") from None
        name = node.targets[0].id
        kind, _, about = (part.strip() for part in comments.get(node.lineno, "").partition(":"))
        if kind not in KINDS:
            raise SaltrustError(f"{source}: parameter '{name}': {unknown_name(KINDS.kind, kind, KINDS)}")
        found.append(Parameter(name, default, kind, about))
    return tuple(found)


def check(chapter: Chapter, given: dict[str, str]) -> dict[str, Any]:
    """Cast and check parameters from the command line, before any work.

    Args:
        chapter: whose parameters they are.
        given: texts, by the names of parameters.

    Returns:
        The values of those that are given, by name.

    Raises:
        SaltrustError: the chapter does not have such a parameter, or a value is not of its type or kind, or does not go
            with the others.
    """
    known = {parameter.name: parameter for parameter in chapter.parameters}
    for name in given:
        if name not in known:
            raise unknown_name(f"parameter of chapter '{chapter.name}'", name, known)
    values = {name: known[name].cast(text) for name, text in given.items()}
    everything = {parameter.name: value for parameter, value in chapter.given(values)}
    for name in sorted(values, key=lambda name: name not in ALWAYS):  # others depend on these
        known[name].check(values[name], everything)
    return values


def combinations(given: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """One value of each parameter, in every way; what is given twice counts once.

    >>> combinations({"seed": ["0", "1", "0"], "methods": ["lrp"]})
    [{'seed': '0', 'methods': 'lrp'}, {'seed': '1', 'methods': 'lrp'}]
    """
    several = (dict.fromkeys(values) for values in given.values())
    return [dict(zip(given, values, strict=True)) for values in product(*several)]


def complete(chapter: Chapter, given: dict[str, str]) -> dict[str, Any]:
    """Every parameter of a chapter, those that are given cast and checked.

    Args:
        chapter: whose parameters they are.
        given: texts, by the names of parameters; the others have their defaults.

    Returns:
        The value of each parameter by name, in the notebook's order; a data card's file as an absolute path.

    Raises:
        SaltrustError: as for `check`; or the chapter does not suit the data set, or that is not on this machine.
    """
    values = {p.name: p.default for p in chapter.parameters} | check(chapter, given)
    card = data_cards.load(values["dataset"])
    if values["dataset"] != card.name:  # a file, which the kernel looks for from another folder
        values["dataset"] = str(Path(values["dataset"]).absolute())
    if chapter.name not in of(card):
        suited = [name for name in data_cards.names() if chapter.name in of(data_cards.load(name))]
        lacks = "graded truth" if chapter.name in _GRADED else "to stand among the 'chapters' of the card"
        lacks = "a card with a 'shortcut_control'" if chapter.name in _SHORTCUT else lacks
        lacks = "a card with several 'findings'" if chapter.name in _SEVERAL and not card.findings else lacks
        lacks = "a card that counts two 'readers' or more" if chapter.name in _READ else lacks
        lacks = "a card that names two classes as a 'contrast'" if chapter.name in _CONTRAST else lacks
        lacks = "networks that are trained here" if card.models and chapter.name not in _READ else lacks
        raise SaltrustError(
            f"chapter '{chapter.name}' needs {lacks}, which '{card.name}' has not; it runs on: {', '.join(suited)}"
        )
    card.refuse_absent()
    return values
