"""Chapters: notebooks with typed parameters. Inspect them, and check what a user gives before any work."""

import ast
import io
import shlex
import tokenize
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from saltrust.core import data_cards, paths
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.profiles import PROFILES, Profile
from saltrust.core.protocols import PROTOCOLS

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
    "localization": ("gallery",),
    "randomization": ("localization",),
    "repeatability": ("localization",),
    "statistics": ("randomization", "repeatability"),
    "verdict": ("randomization", "repeatability"),
    "report_card": ("verdict",),
    "multiverse": ("verdict",),
    "audit": ("verdict",),
    "claims": ("multiverse",),
}
NAMES = (*_GRADED, *_ALWAYS)

# Chapters about networks that are trained here, which a user's own models have not; and those that need two networks.
_TRAINED_HERE = ("every_method", "statistics", "multiverse", "audit", "claims")
_OF_TWO = ("repeatability",)


def of(card: Card) -> dict[str, tuple[str, ...]]:
    """The chapters of a data set in the order of the book, each with those that run before it."""
    if not card.models:
        return _GRADED | _ALWAYS if card.truth == "graded" else _ALWAYS
    without = _TRAINED_HERE + (_OF_TWO if len(card.models) < 2 else ())
    return {
        name: tuple(other for other in before if other not in without)
        for name, before in _ALWAYS.items()
        if name not in without
    }


@dataclass(frozen=True)
class Parameter:
    """One line of a chapter's `parameters` cell: `name = default  # help`."""

    name: str
    default: str | int | float | bool
    help: str

    @property
    def option(self) -> str:
        """What it is called on the command line, behind two dashes."""
        return self.name.replace("_", "-")

    def cast(self, text: str) -> str | int | float | bool:
        """A value from the command line in the type of the default. Raises SaltrustError for one that does not fit."""
        kind = type(self.default)
        if kind is bool:
            if text.lower() in ("true", "false"):
                return text.lower() == "true"
        else:
            try:
                return kind(text)
            except ValueError:
                pass
        several = "".join(f" --{self.option} {one.strip()}" for one in text.split(","))
        hint = f"; several runs, one for each value:{several}" if "," in text else ""
        raise SaltrustError(
            f"parameter '{self.name}': '{text}' is not of type {kind.__name__} (default: {self.default}){hint}"
        )


@dataclass(frozen=True)
class Chapter:
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
    """The chapter of that name. Raises SaltrustError for an unknown name or a parameters cell that cannot be read."""
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
            raise SaltrustError(f"{source}: the parameters cell holds more than `name = value  # help` lines")
        try:
            default = ast.literal_eval(node.value)
        except ValueError:
            raise SaltrustError(f"{source}: parameter '{node.targets[0].id}' is not a plain constant") from None
        found.append(Parameter(node.targets[0].id, default, comments.get(node.lineno, "")))
    return tuple(found)


def check(chapter: Chapter, given: dict[str, str]) -> dict[str, Any]:
    """Cast and check parameters from the command line, before any work.

    Raises SaltrustError for a name that the chapter does not have, and for a value that is of the wrong type, out of
    range, not in the registry that it is looked up in, or does not go with the others.
    """
    known = {parameter.name: parameter for parameter in chapter.parameters}
    for name in given:
        if name not in known:
            raise unknown_name(f"parameter of chapter '{chapter.name}'", name, known)
    values = {name: known[name].cast(text) for name, text in given.items()}
    everything = {parameter.name: value for parameter, value in chapter.given(values)}
    for name, value in values.items():
        if type(value) is int and value not in (allowed := _allowed(name, PROFILES[everything["profile"]])):
            raise SaltrustError(f"parameter '{name}': {value} is not between {allowed[0]} and {allowed[-1]}")
        _look_up(name, everything)
    return values


# What only one parameter needs is imported there: torch alone takes seconds.

MANY = 100_000  # of whatever is counted: the resamples of more would not fit into memory


def _allowed(name: str, profile: Profile) -> range:
    """The whole numbers that a parameter may be; one that is not named here counts something."""
    match name:
        case "seed":
            return range(2**32)
        case "n_boot":
            return range(20, MANY + 1)  # fewer have no tails, whose ends an interval is
        case "size_shown":
            from saltrust.datasets.cells import LARGEST, SMALLEST

            return range(SMALLEST, LARGEST + 1)
        case "branch":
            return range(1, profile.branching.branches + 1)
        case "shown":
            return range(profile.cascaded or MANY)
    return range(1, MANY + 1)


def _look_up(name: str, values: Mapping[str, Any]) -> None:
    """Raises SaltrustError for a value that a chapter would look up in vain. values: of all parameters."""
    value = values[name]
    match name:
        case "dataset":
            data_cards.load(value)
        case "profile":
            PROFILES[value]
        case "protocol":
            PROTOCOLS[value]
        case "beside":
            for one in filter(None, value.split(",")):
                PROTOCOLS[one]
        case "methods":
            from saltrust.methods.registry import select

            select(value)
        case "shown" if value and type(value) is str:
            from saltrust.methods.registry import select

            _require("method of this chapter", [value], select(values["methods"]))
        case "order":
            from saltrust.models.randomization import ORDERS

            ORDERS[value]
        case "kind_drawn":
            from saltrust.datasets.cells import TYPES

            _require("cell type", [value], TYPES)
        case "kinds" | "backgrounds" if value != "all":
            from saltrust.datasets.cells import BACKGROUNDS, TYPES

            what, known = ("cell type", TYPES) if name == "kinds" else ("background", BACKGROUNDS)
            _require(what, [one.strip() for one in value.split(",")], known)
        case "inner" | "outer" | "step" | "n_thresholds":
            from saltrust.scores.five_band import Thresholds

            Thresholds(*(values[name] for name in ("inner", "outer", "step", "n_thresholds")))


def _require(what: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise unknown_name(what, name, known)


def combinations(given: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """One value of each parameter, in every way; what is given twice counts once."""
    several = (dict.fromkeys(values) for values in given.values())
    return [dict(zip(given, values, strict=True)) for values in product(*several)]


def complete(chapter: Chapter, given: dict[str, str]) -> dict[str, Any]:
    """Every parameter of a chapter, those that are given cast and checked.

    Raises SaltrustError, besides what `check` raises, for a data set that the chapter does not suit or that is not on
    this machine.
    """
    values = {p.name: p.default for p in chapter.parameters} | check(chapter, given)
    card = data_cards.load(values["dataset"])
    if values["dataset"] != card.name:  # a file, which the kernel looks for from another folder
        values["dataset"] = str(Path(values["dataset"]).absolute())
    if chapter.name not in of(card):
        suited = [name for name in data_cards.names() if chapter.name in of(data_cards.load(name))]
        lacks = "networks that are trained here" if card.models else "graded truth"
        raise SaltrustError(
            f"chapter '{chapter.name}' needs {lacks}, which '{card.name}' has not; it runs on: {', '.join(suited)}"
        )
    if not card.available:
        raise SaltrustError(f"data set '{card.name}' is not on this machine: nothing at {card.root}")
    return values
