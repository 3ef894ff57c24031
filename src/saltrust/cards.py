"""Data cards: one YAML file per data set that says what it is, whose, under which licence, and how to read it."""

import os
import re
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from saltrust import paths
from saltrust.errors import SaltrustError, unknown_name

Split = Literal["train", "val", "test"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Get(_Strict):
    """Where the files come from, and the folder where they are expected; `$NAME` stands for an environment variable."""

    root: str
    source: str


class Table(_Strict):
    """The columns of a table of images; a column that the table lacks is left out.

    file: the table, relative to the root. image: path of the image. label: 1 with and 0 without the finding.
    mask: path of the mask, empty for none. x, y, width, height: a box in pixels of the image as it is on file, one row
    per box. split: train, val or test; other values are not used. group: what must stay together (a patient, a slice).
    """

    file: str
    image: str
    label: str
    split: str
    mask: str | None = None
    x: str | None = None
    y: str | None = None
    width: str | None = None
    height: str | None = None
    group: str | None = None


class Count(_Strict):
    """Images of a split and, of these, those with the finding."""

    images: int = Field(gt=0)
    positive: int = Field(ge=0)


class Card(_Strict):
    """A data set as its card describes it."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    title: str
    summary: str
    role: str  # which of the papers' data sets it stands for
    finding: str
    reported: str = ""  # what its paper reports of its networks, a sentence (MyST)
    modality: str
    classes: tuple[str, ...] = ()  # names of the labels, where there are more than with and without the finding
    absent: str | None = None  # of these, the one without the finding
    truth: Literal["mask", "box", "graded"]
    networks: tuple[str, ...] = ("inception_v3", "densenet121")  # architectures: the main one, the one beside it, more
    localizer: Literal["unet", "retinanet"]
    licence: str
    cite: tuple[str, ...] = ()
    loader: str
    parameters: dict[str, Any] = {}
    protocols: dict[str, dict[str, Any]] = {}  # what some protocols change in the loader's parameters
    get: Get | None = None
    table: Table | None = None
    counts: dict[Split, Count]

    @field_validator("counts")
    @classmethod
    def _all_splits(cls, counts: dict[str, Count]) -> dict[str, Count]:
        if missing := {"train", "val", "test"} - set(counts):
            raise ValueError(f"lacks {', '.join(sorted(missing))}")
        return counts

    @model_validator(mode="after")
    def _classes_are_described(self) -> "Card":
        if self.classes and self.absent not in self.classes:
            raise ValueError(f"'absent' must be one of the classes: {', '.join(self.classes)}")
        if len(self.networks) < 2:
            raise ValueError("'networks' needs two architectures, whose maps are compared")
        return self

    @model_validator(mode="after")
    def _files_are_described(self) -> "Card":
        if (self.get is None) != (self.table is None):
            raise ValueError("'get' and 'table' belong together: give both or neither")
        if self.table and self.truth == "mask" and not self.table.mask:
            raise ValueError("truth 'mask' needs the table's 'mask' column")
        if (
            self.table
            and self.truth == "box"
            and not all((self.table.x, self.table.y, self.table.width, self.table.height))
        ):
            raise ValueError("truth 'box' needs the table's 'x', 'y', 'width' and 'height' columns")
        return self

    def identity(self) -> dict[str, Any]:
        """What determines the images and their truth: the card without its prose, licence and place on this machine."""
        parts = {"name", "classes", "absent", "truth", "loader", "parameters", "table", "counts"}
        return self.model_dump(mode="json", include=parts)

    def under(self, protocol: str) -> "Card":
        """The card as that protocol reads it."""
        return self.model_copy(update={"parameters": self.parameters | self.protocols.get(protocol, {})})

    @property
    def root(self) -> Path | None:
        """The data folder, environment variables filled in ($SALTRUST_DATA defaults to `data/` in the project).

        None for data that is generated. Raises SaltrustError for a variable that is not set.
        """
        if self.get is None:
            return None
        known = {"SALTRUST_DATA": str(paths.PROJECT / "data"), **os.environ}

        def value(match: re.Match) -> str:
            if match[1] not in known:
                raise SaltrustError(f"card '{self.name}': get.root needs the environment variable {match[1]}")
            return known[match[1]]

        return Path(re.sub(r"\$(\w+)", value, self.get.root))

    @property
    def available(self) -> bool:
        """Whether the data is on this machine (generated data always is)."""
        return self.root is None or (self.root / self.table.file).is_file()


def names() -> list[str]:
    """The names of all cards, sorted."""
    return sorted(file.stem for file in paths.CARDS.glob("*.yaml"))


def load(name: str) -> Card:
    """The card of that name. Raises SaltrustError for an unknown name or a card that breaks the schema."""
    file = paths.CARDS / f"{name}.yaml"
    if name not in names():
        raise unknown_name("data set", name, names())
    return parse(file)


def parse(file: Path) -> Card:
    """Read and check one card. Raises SaltrustError that names the file, the field and what is wrong with it."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise SaltrustError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise SaltrustError(f"{file}: a card is a mapping of fields to values")
    try:
        card = Card(**content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "card"
        raise SaltrustError(f"{file}: {where}: {first['msg']}") from error
    if card.name != file.stem:
        raise SaltrustError(f"{file}: name: is '{card.name}', the file is called '{file.stem}'")
    return card
