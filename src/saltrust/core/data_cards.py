"""Data cards: one YAML file per data set that says what it is, whose, under which licence, and how to read it."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, PrivateAttr, ValidationError, model_validator

from saltrust.core import paths, yaml_files
from saltrust.core.card_parts import (
    LONGEST_NAME,
    MOST,
    SPLITS,
    Annotations,
    Archive,
    Count,
    Get,
    Line,
    Model,
    Name,
    Names,
    Number,
    Plays,
    Prose,
    SplitName,
    Strict,
    Table,
    Words,
    doubled,
    seen_within,
)
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.user_files import expanded

PLAIN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
Fields = Annotated[dict[str, Any], AfterValidator(seen_within)]


class Card(Strict):
    """A data set as its card describes it. Its texts are text: markup in them is shown as it was typed."""

    name: str = Field(max_length=LONGEST_NAME, pattern=PLAIN)
    title: Line = ""
    summary: Prose = ""
    role: Prose = "itself"  # which of the papers' data sets it is or stands for, in words
    plays: Plays | None = None  # the same for the ledger of claims; None: none of them
    finding: Name
    reported: Prose = ""  # what its paper reports of its networks, a sentence
    modality: Line = "not stated"
    classes: Names = ()  # names of the labels, where there are more than with and without the finding
    absent: Name | None = None  # of these, the one without the finding, if there is one
    findings: Names = ()  # independent findings, of which an image has any number; `finding` is any of them
    readers: int = Field(default=0, ge=0, le=MOST)  # whose drawings are kept apart, where maps are compared with them
    truth: Literal["mask", "box", "graded", "none"]  # none: labels alone
    # Where a chest tube goes with the finding: the card of the same patients with as many tubes that do not.
    shortcut_control: str | None = Field(default=None, max_length=LONGEST_NAME, pattern=PLAIN)
    contrast: Names = ()  # two of the classes that maps are to tell apart, the first of which images show
    networks: Words = ("inception_v3", "densenet121")  # architectures: the main one, the one beside it, more
    cascade: Literal["coarse", "fine"] = "coarse"  # stages in which the main network is randomized: see architectures
    models: tuple[Model, ...] = Field(default=(), max_length=MOST)  # classifiers trained elsewhere, which are judged in
    # the place of the networks
    localizer: Literal["unet", "retinanet"] | None
    chapters: Words = ()  # those of its book, where it should not have all that suit it
    mirror: bool = False  # whether a mirrored image could be one of the data: not a chest, whose heart is on the left
    licence: Prose = "not stated"
    cite: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_:.+-]{0,99}$")], ...] = Field((), max_length=MOST)
    loader: str = Field(default="folder", pattern=r"^[a-z][a-z0-9_]{0,49}$")
    parameters: Fields = {}
    protocols: Annotated[dict[str, dict[str, Any]], AfterValidator(seen_within)] = {}  # what some protocols change in
    # the loader's parameters
    get: Get | None = None
    table: Table | None = None
    annotations: Annotations | None = None
    shares: dict[SplitName, Number] = {}  # of the groups that each split gets, where the files name no splits
    counts: dict[SplitName, Count] = {}  # as published; of generated data, what is to be drawn
    _folder: Path = PrivateAttr(default=paths.CARDS)  # where the card lies

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, content: dict[str, Any]) -> dict[str, Any]:
        """What follows from the rest: a title, and the localizer that suits the truth."""
        truth, name = (value if isinstance(value := content.get(key), str) else "" for key in ("truth", "name"))
        suited = {"mask": "unet", "box": "retinanet", "graded": "unet"}.get(truth)
        return {"title": name, "localizer": suited} | content

    @model_validator(mode="after")
    def _classes_are_described(self) -> Self:
        if self.classes and self.absent is not None and self.absent not in self.classes:
            raise ValueError(f"'absent' must be one of the classes: {', '.join(self.classes)}")
        if self.absent is not None and not self.classes:
            raise ValueError("'absent' is one of 'classes', which are not given")
        if len(self.classes) == 1 or doubled(self.classes):
            raise ValueError("'classes' needs two or more names, each once")
        if self.contrast and (
            len(self.contrast) != 2 or doubled(self.contrast) or set(self.contrast) - {*self.classes}
        ):
            raise ValueError("'contrast' names two of the 'classes', which maps are to tell apart")
        if doubled(self.findings):
            raise ValueError("'findings' needs each name once")
        if self.classes and self.findings:
            raise ValueError("'classes' exclude one another and 'findings' do not: a card has either")
        if len(self.networks) < 2 or doubled(self.networks):
            raise ValueError("'networks' needs two architectures or more, each once, whose maps are compared")
        if self.readers == 1 or (self.readers and self.truth not in ("mask", "box")):
            raise ValueError("'readers' counts two or more, who drew a truth of kind 'mask' or 'box'")
        if self.shortcut_control == self.name:
            raise ValueError("'shortcut_control' must be another card")
        names = [model.name for model in self.models]
        if names and (not all(names) or doubled(names) or f"{names[0]}-random" in names):
            raise ValueError("models: each needs a name of its own, and none may be called '<the first>-random'")
        return self

    @model_validator(mode="after")
    def _splits_are_described(self) -> Self:
        splits = set(SPLITS)
        for name, given in (("counts", set(self.counts)), ("shares", set(self.shares))):
            if given and given != splits:
                raise ValueError(f"{name}: lacks {', '.join(sorted(splits - given))}")
        if self.shares and (min(self.shares.values()) <= 0 or abs(sum(self.shares.values()) - 1) > 1e-6):
            raise ValueError(f"shares: must be above 0 and add up to 1, not {self.shares}")
        if self.get is None and not self.counts:
            raise ValueError("generated data needs 'counts'")
        return self

    @model_validator(mode="after")
    def _files_are_described(self) -> Self:
        described = [name for name in ("table", "annotations") if getattr(self, name)]
        if described and self.get is None:
            raise ValueError(f"'{described[0]}' needs 'get', where the files are")
        if self.loader == "folder" and len(described) != 1:
            raise ValueError("the loader 'folder' needs either 'table' or 'annotations'")
        if (self.truth == "none") != (self.localizer is None):
            allowed = "left out, since nothing could teach it" if self.truth == "none" else "'unet' or 'retinanet'"
            raise ValueError(f"localizer: with truth '{self.truth}' it must be {allowed}")
        if self.truth == "none" and any(getattr(self, name).reader for name in described):
            raise ValueError("'reader' needs truth 'mask' or 'box', which readers draw")
        if self.annotations and self.annotations.reader and self.annotations.format != "coco":
            raise ValueError("annotations: only those of format 'coco' name a 'reader'")
        if (self.findings or self.classes) and any(getattr(self, name).positive for name in described):
            raise ValueError("'positive' is for one finding; the words or categories of several are called as they are")
        if self.table and self.findings and not self.table.label and self.truth != "none":
            raise ValueError("findings with truth need the table's 'label' column, which names those of the row")
        if self.table and self.truth == "mask" and not self.table.mask:
            raise ValueError("truth 'mask' needs the table's 'mask' column")
        if self.table and self.truth == "box" and not self.table.box:
            raise ValueError(
                "truth 'box' needs the table's 'x', 'y' and 'width', 'height' or 'right', 'bottom' columns"
            )
        named = bool(self.table and self.table.split) or _by_split(self.annotations)
        if self.shares and named:
            raise ValueError("shares: the files already name splits")
        if described and not (self.shares or named):
            raise ValueError("says nothing of splits: name the column 'split', files for each split, or 'shares'")
        return self

    def identity(self) -> dict[str, Any]:
        """What determines the images and their truth: the card without its name, prose, licence and models, and without
        its place on this machine."""
        parts = {"finding", "findings", "classes", "absent", "truth", "loader", "parameters", "shares", "counts"}
        parts |= {"table", "annotations"}
        return self.model_dump(mode="json", include=parts)

    @property
    def absent_label(self) -> int | None:
        """The label of an image without the finding; None where every image has one."""
        if not self.classes:
            return 0
        return None if self.absent is None else self.classes.index(self.absent)

    def under(self, protocol: str) -> "Card":
        """The card as that protocol reads it."""
        return self.model_copy(update={"parameters": self.parameters | self.protocols.get(protocol, {})})

    @property
    def folder(self) -> Path:
        """Where relative paths in the card start: the folder in which it lies."""
        return self._folder

    @property
    def root(self) -> Path | None:
        """The data folder, environment variables filled in ($SALTRUST_DATA defaults to `data/` beside the results).

        None for data that is generated. Raises SaltrustError for a variable that is not set.
        """
        if self.get is None:
            return None
        known = {"SALTRUST_DATA": str(paths.WORK / "data"), **os.environ}

        def value(match: re.Match) -> str:
            name = match[1] or match[2]
            if not name:
                raise SaltrustError(f"card '{self.name}': get.root: '$' must stand before the name of a variable")
            if name not in known:
                raise SaltrustError(f"card '{self.name}': get.root needs the environment variable {name}")
            return known[name]

        filled = re.sub(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\}|)", value, self.get.root, flags=re.ASCII)
        try:
            return self._folder / expanded(filled)
        except SaltrustError as error:
            raise SaltrustError(f"card '{self.name}': get.root: {error}") from error

    @property
    def available(self) -> bool:
        """Whether the data is on this machine, as generated data always is, and what travels with its card."""
        # unlike Path's, False also for a name too long
        return self.root is None or os.path.isdir(self.root) or self.get.embedded

    @property
    def how_to_get(self) -> str:
        """What brings its files to this machine, in words."""
        return f"`saltrust datasets get {self.name}`" if self.get.archives else f"get it from {self.get.source}"

    def not_here(self, what: str) -> SaltrustError:
        """The error for data whose files are not on this machine. what: is missing."""
        return SaltrustError(f"data set '{self.name}' is not on this machine: {what} ({self.how_to_get})")

    def refuse_absent(self) -> None:
        """Raise SaltrustError for data whose files are not on this machine."""
        if not self.available:
            raise self.not_here(f"nothing at {self.root}")


def _by_split(annotations: Annotations | None) -> bool:
    return annotations is not None and isinstance(annotations.files, dict)


def names() -> list[str]:
    """The names of the project's cards, sorted."""
    return sorted(file.stem for file in paths.CARDS.glob("*.yaml"))


def assessed() -> list[str]:
    """The names of the cards that `saltrust assess` wrote, sorted."""
    return sorted(file.stem for file in paths.ASSESSED.glob("*.yaml"))


def load(name: str) -> Card:
    """The card of that name, of the project or of an assessed model, or the card in a file (`path/to/card.yaml`).

    Raises SaltrustError for an unknown name or a card that breaks the schema.
    """
    if name.endswith((".yaml", ".yml")):
        return parse(Path(name))
    if name in names():
        return parse(paths.CARDS / f"{name}.yaml")
    if name in assessed():
        return parse(paths.ASSESSED / f"{name}.yaml")
    raise unknown_name("data set", name, [*names(), *assessed()])


def parse(file: Path) -> Card:
    """Read and check one card. Raises SaltrustError that names the file, the field and what is wrong with it."""
    content = yaml_files.read(file, "data card")
    if not isinstance(content, dict):
        raise SaltrustError(f"{file}: a card is a mapping of fields to values")
    if unnamed := [key for key in content if not isinstance(key, str)]:
        raise SaltrustError(f"{file}: fields are named by words, not by {unnamed[0]!r:.40}")
    try:
        card = Card(**content)
    except ValidationError as error:
        raise SaltrustError(f"{file}: {told(error)}") from error
    if card.name != file.stem:
        raise SaltrustError(f"{file}: name: is '{card.name}', the file is called '{file.stem}'")
    own = paths.CARDS / file.name
    if own.exists() and not own.samefile(file):
        raise SaltrustError(f"{file}: name: '{card.name}' is a card of the project; call it otherwise")
    card._folder = Path(os.path.realpath(file.parent))
    return card


def told(error: ValidationError, whole: type[BaseModel] = Card) -> str:
    """What is wrong with a card or a model, in one line: a field that does not exist before all else, since another one
    may be missing because of it."""
    errors = error.errors()
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    *outer, last = first["loc"] or (whole.__name__.lower(),)
    if first["type"] == "extra_forbidden":
        parts = {"get": Get, "table": Table, "annotations": Annotations, "models": Model, "plays": Plays}
        parts |= {"counts": Count, "archives": Archive}
        part = next((parts[name] for name in reversed(outer) if name in parts), None if outer else whole)
        if part is not None:
            return str(unknown_name(f"field of {outer[0]}" if outer else "field", last, part.model_fields))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "string_pattern_mismatch" and last in ("name", "shortcut_control"):
        message = "small letters, digits and single hyphens between them"
    if first["type"] not in ("missing", "value_error"):
        message += f", not {_quoted(first['input'])}"
    where = ".".join(str(part) for part in (*outer, last))
    return f"{_shortened(where)}: {message}"


def _quoted(value: Any) -> str:
    """What was given, in brief."""
    words = {type(None): "nothing", dict: "a mapping", list: "a list", tuple: "a list"}
    hint = "; what is meant as text stands in quotes" if type(value) in (bool, int, float) else ""
    return words.get(type(value)) or _shortened(repr(value)) + hint


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"


def with_models(card: Card, models: Sequence[Model], name: str) -> Card:
    """The same data under another name, with other models to judge; what the card says of places is made absolute."""
    if len(name) > LONGEST_NAME:
        raise SaltrustError(
            f"'{name[:40]}…' has {len(name)} characters, and a card's name {LONGEST_NAME} at most: give the models "
            "shorter names, or assess fewer at once"
        )
    places = {} if card.get is None else {"get": _absolute(card)}
    title = f"{models[0].name} on {card.title}"
    return card.model_copy(update={"name": name, "title": title, "models": tuple(models)} | places)


def rooted(card: Card, root: str) -> Card:
    """The card of data whose files lie in another folder, which no archive fills.

    Raises:
        SaltrustError: The data has no files.
    """
    if card.get is None:
        raise SaltrustError(f"data set '{card.name}' is generated: it has no files, and no --root")
    elsewhere = {"root": os.path.realpath(root), "archives": ()}
    return card.model_copy(update={"get": card.get.model_copy(update=elsewhere)})


def _absolute(card: Card) -> Get:
    """Where the files are, for a card that will lie elsewhere."""
    archives = [one if one.is_web else one.model_copy(update={"url": str(card.folder / one.url)})
                for one in card.get.archives]  # fmt: skip
    return card.get.model_copy(update={"root": os.path.realpath(card.root), "archives": tuple(archives)})


def save(card: Card, folder: Path) -> Path:
    """Write a card into a folder, whole or not at all; returns the file."""
    file = folder / f"{card.name}.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(yaml_files.written(card.model_dump(mode="json", exclude_defaults=True)), "utf-8")
    partial.replace(file)
    return file
