"""Data cards: one YAML file per data set that says what it is, whose, under which licence, and how to read it."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from saltrust.core import paths
from saltrust.core.errors import SaltrustError, unknown_name

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)


def _several(value: Any) -> Any:
    return (value,) if type(value) in (int, float) else value


Numbers = Annotated[tuple[float, ...], BeforeValidator(_several)]  # one number, or several


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Get(_Strict):
    """Where the files come from, and where they are expected.

    Attributes:
        root: their folder, relative to the card's own, or with environment variables (`$NAME`).
        source: who has them.
        tree: of files that must lie in the folder, as text.
    """

    root: str
    source: str = "its owner"
    tree: str = ""


class _ByReaders(_Strict):
    """How files say which of several readers drew what.

    Attributes:
        reader: the column, or the key of an annotation, that names the reader; None where the files know of no readers.
        votes: how many readers must have marked a pixel of the truth: 1 for the union of what they drew.
    """

    reader: str | None = None
    votes: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _votes_have_readers(self) -> Self:
        if self.votes > 1 and not self.reader:
            raise ValueError("'votes' needs 'reader', what names the one who drew")
        return self


class Table(_ByReaders):
    """The columns of a table of images; a column that the table lacks is left out.

    Where several readers drew, each has a row for each image that he read, empty cells if he drew nothing there.

    Attributes:
        file: the table, relative to the root.
        image: path of the image, to which `folder` is put in front and `suffix` behind.
        folder: see `image`.
        suffix: see `image`.
        label: 1 with and 0 without the finding; or a word, which is one of the card's classes or findings or, for one
            finding, among `positive`. Without a label column an image has the finding where it has truth; in a card of
            several findings without truth, each finding is a column then, 1 or 0.
        positive: the words that mean with the finding.
        separator: what parts several words of one image ("Effusion|Mass").
        split: train, val or test; other values are not used.
        group: what must stay together (a patient, a slice).
        mask: path of the mask, empty for none.
        x: left edge of a box, one row a box, in pixels of the image as it is on file.
        y: upper edge.
        width: of the box; or `right`.
        height: of the box; or `bottom`.
        right: right edge.
        bottom: lower edge.
    """

    file: str
    image: str
    folder: str = ""
    suffix: str = ""
    label: str | None = None
    positive: tuple[str, ...] = ()
    separator: str | None = None
    split: str | None = None
    group: str | None = None
    mask: str | None = None
    x: str | None = None
    y: str | None = None
    width: str | None = None
    height: str | None = None
    right: str | None = None
    bottom: str | None = None

    @property
    def box(self) -> tuple[str, ...]:
        """The four columns of a box; empty where the table has none."""
        columns = (self.x, self.y, self.width or self.right, self.height or self.bottom)
        return tuple(name for name in columns if name) if all(columns) else ()


class Annotations(_ByReaders):
    """Annotations in a known format, in the place of a table.

    Every reader whom a file names is taken to have read all images of the file.

    Attributes:
        format: "coco" (a JSON file), "voc" (a folder of XML files) or "yolo" (a folder of text files).
        files: that file or folder, relative to the root, one for all images or one for each split.
        images: the folder of the images, likewise.
        names: the categories of YOLO by number, where no `classes.txt` lies beside the files.
        positive: the categories that are the finding, all of them if empty; in a card with classes every category is
            one, in a card with findings those that are called so.
    """

    format: Literal["coco", "voc", "yolo"]
    files: str | dict[SplitName, str]
    images: str | dict[SplitName, str]
    names: tuple[str, ...] = ()
    positive: tuple[str, ...] = ()


class Model(_Strict):
    """A classifier that was trained elsewhere, and what its file does not say.

    Attributes:
        source: `file.py:function`, a file of TorchScript (`.ts`, `.torchscript`), torch.export (`.pt2`) or weights
            (`.safetensors`, `.pt`, `.pth`), `timm:<name>` or `xrv:<weights>`.
        name: how it is called here.
        architecture: of bare weights, `file.py:function`, `timm:<name>` or `torchvision:<name>`.
        size: side of its square images, in pixels.
        channels: 1 or 3.
        input_range: of a black and a white pixel, before mean and std.
        mean: what is subtracted then, one for each channel.
        std: what the difference is divided by, one for each channel.
        classes: names of its outputs.
        exclusive: whether one class excludes the others (softmax) or each output speaks for itself (sigmoid).
        finding: the class that is the card's finding, where it is not called so.
    """

    source: str
    name: str = Field(default="", pattern=r"^[a-z0-9]*(-[a-z0-9]+)*$")
    architecture: str = ""
    size: int | None = Field(default=None, ge=32, le=2048)
    channels: Literal[1, 3] | None = None
    input_range: tuple[float, float] | None = None
    mean: Numbers = ()
    std: Numbers = ()
    classes: tuple[str, ...] = ()
    exclusive: bool | None = None
    finding: str = ""

    def identity(self) -> dict[str, Any]:
        """What determines its outputs, but for the files themselves, whose checksum counts."""
        return self.model_dump(mode="json", exclude={"name", "source", "architecture"})


class Count(_Strict):
    """Images of a split and, of these, those with the finding."""

    images: int = Field(gt=0)
    positive: int = Field(ge=0)


class Card(_Strict):
    """A data set as its card describes it."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    title: str = ""
    summary: str = ""
    role: str = "itself"  # which of the papers' data sets it stands for
    finding: str
    reported: str = ""  # what its paper reports of its networks, a sentence (MyST)
    modality: str = "not stated"
    classes: tuple[str, ...] = ()  # names of the labels, where there are more than with and without the finding
    absent: str | None = None  # of these, the one without the finding, if there is one
    findings: tuple[str, ...] = ()  # independent findings, of which an image has any number; `finding` is any of them
    truth: Literal["mask", "box", "graded", "none"]  # none: labels alone
    networks: tuple[str, ...] = ("inception_v3", "densenet121")  # architectures: the main one, the one beside it, more
    models: tuple[Model, ...] = ()  # classifiers trained elsewhere, which are judged in the place of the networks
    localizer: Literal["unet", "retinanet"] | None
    licence: str = "not stated"
    cite: tuple[str, ...] = ()
    loader: str = "folder"
    parameters: dict[str, Any] = {}
    protocols: dict[str, dict[str, Any]] = {}  # what some protocols change in the loader's parameters
    get: Get | None = None
    table: Table | None = None
    annotations: Annotations | None = None
    shares: dict[SplitName, float] = {}  # of the groups that each split gets, where the files name no splits
    counts: dict[SplitName, Count] = {}  # as published; of generated data, what is to be drawn
    _folder: Path = PrivateAttr(default=paths.CARDS)  # where the card lies

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, content: dict[str, Any]) -> dict[str, Any]:
        """What follows from the rest: a title, and the localizer that suits the truth."""
        suited = {"mask": "unet", "box": "retinanet", "graded": "unet"}.get(content.get("truth"))
        return {"title": content.get("name"), "localizer": suited} | content

    @model_validator(mode="after")
    def _classes_are_described(self) -> Self:
        if self.classes and self.absent is not None and self.absent not in self.classes:
            raise ValueError(f"'absent' must be one of the classes: {', '.join(self.classes)}")
        if len(self.classes) == 1 or len(set(self.classes)) != len(self.classes):
            raise ValueError("'classes' needs two or more names, each once")
        if len(set(self.findings)) != len(self.findings):
            raise ValueError("'findings' needs each name once")
        if self.classes and self.findings:
            raise ValueError("'classes' exclude one another and 'findings' do not: a card has either")
        if len(self.networks) < 2:
            raise ValueError("'networks' needs two architectures, whose maps are compared")
        names = [model.name for model in self.models]
        if names and (not all(names) or len(set(names)) < len(names) or f"{names[0]}-random" in names):
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
        if self.findings and any(getattr(self, name).positive for name in described):
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
            if match[1] not in known:
                raise SaltrustError(f"card '{self.name}': get.root needs the environment variable {match[1]}")
            return known[match[1]]

        return self._folder / Path(re.sub(r"\$(\w+)", value, self.get.root)).expanduser()

    @property
    def available(self) -> bool:
        """Whether the data is on this machine (generated data always is)."""
        return self.root is None or self.root.is_dir()


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
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SaltrustError(f"no data card {file}") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise SaltrustError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise SaltrustError(f"{file}: a card is a mapping of fields to values")
    try:
        card = Card(**content)
    except ValidationError as error:
        raise SaltrustError(f"{file}: {told(error)}") from error
    except TypeError as error:
        raise SaltrustError(f"{file}: fields are named by words: {error}") from error
    if card.name != file.stem:
        raise SaltrustError(f"{file}: name: is '{card.name}', the file is called '{file.stem}'")
    own = paths.CARDS / file.name
    if own.exists() and not own.samefile(file):
        raise SaltrustError(f"{file}: name: '{card.name}' is a card of the project; call it otherwise")
    card._folder = file.parent.resolve()
    return card


def told(error: ValidationError, whole: type[BaseModel] = Card) -> str:
    """What is wrong with a card or a model, in one line: a field that does not exist before all else, since another one
    may be missing because of it."""
    errors = error.errors()
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    *outer, last = first["loc"] or ("card",)
    if first["type"] == "extra_forbidden":
        parts = {"get": Get, "table": Table, "annotations": Annotations, "models": Model}
        fields = next((part for name, part in parts.items() if name in outer), whole).model_fields
        inside = f" of {outer[0]}" if outer else ""
        return str(unknown_name(f"field{inside}", last, fields))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "string_pattern_mismatch":
        message = "small letters, digits and single hyphens between them"
    return f"{'.'.join(str(part) for part in (*outer, last))}: {message}"


def with_models(card: Card, models: Sequence[Model], name: str) -> Card:
    """The same data under another name, with other models to judge; what the card says of places is made absolute."""
    places = {} if card.get is None else {"get": card.get.model_copy(update={"root": str(card.root.resolve())})}
    title = f"{models[0].name} on {card.title}"
    return card.model_copy(update={"name": name, "title": title, "models": tuple(models)} | places)


def rooted(card: Card, root: str) -> Card:
    """The card of data whose files lie in another folder. Raises SaltrustError for data that has no files."""
    if card.get is None:
        raise SaltrustError(f"data set '{card.name}' is generated: it has no files, and no --root")
    return card.model_copy(update={"get": card.get.model_copy(update={"root": str(Path(root).resolve())})})


def save(card: Card, folder: Path) -> Path:
    """Write a card into a folder, whole or not at all; returns the file."""
    file = folder / f"{card.name}.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(yaml.safe_dump(card.model_dump(mode="json", exclude_defaults=True), sort_keys=False), "utf-8")
    partial.replace(file)
    return file
