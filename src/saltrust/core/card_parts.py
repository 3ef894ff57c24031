"""The parts of a data card: where files are, how tables and annotations are read, which models it brings along."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from saltrust.core.errors import unknown_name
from saltrust.core.visible import hidden

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)


LONGEST_NAME = 120  # characters of a card's name, which files and folders have
MOST = 2_000  # entries of a list


def _several(value: Any) -> Any:
    return (value,) if type(value) in (int, float) else value


def _seen(text: str, allowed: str = "") -> str:
    if character := hidden(text, allowed):
        raise ValueError(f"holds the character U+{ord(character):04X}, which no text may: it cannot be seen")
    return text


def _lines(text: str) -> str:
    return _seen(text, allowed="\n\t")


def _listed(value: Any) -> Any:
    """A list, which is not a text's letters and not a set without an order."""
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list")
    return value


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):  # which Python takes for 1
        raise ValueError("must be a number")
    return value


def seen_within(value: Any) -> Any:
    """A value of any type itself. Raises ValueError where a text in it holds a character that is not seen, and for a
    name that is no text, which a saved card could not hold."""
    if isinstance(value, str):
        return _seen(value)
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise ValueError(f"the name {name!r} is no text; put it in quotes")
    for part in (*value, *value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ():
        seen_within(part)
    return value


def doubled(names: Sequence[str]) -> bool:
    """Whether a name is there twice."""
    return len(set(names)) < len(names)


Number = Annotated[float, Field(strict=True)]
Numbers = Annotated[tuple[Number, ...], BeforeValidator(_several)]  # one number, or several
Whole = Annotated[int, Field(strict=True)]
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_seen)]
Name = Annotated[Word, StringConstraints(max_length=100)]  # it stands beside pictures and above columns
Names = Annotated[tuple[Name, ...], BeforeValidator(_listed), Field(max_length=MOST)]
Words = Annotated[tuple[Word, ...], BeforeValidator(_listed), Field(max_length=MOST)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=300), AfterValidator(_seen)]
Prose = Annotated[str, StringConstraints(max_length=20_000), AfterValidator(_lines)]
MaybePlace = Annotated[str, StringConstraints(max_length=4_000), AfterValidator(_seen)]
Place = Annotated[MaybePlace, StringConstraints(min_length=1)]
Separator = Annotated[str, StringConstraints(min_length=1, max_length=10), AfterValidator(_lines)]
"""What stands in a card: numbers that are written as such; names, a line of text, text of several lines; a path."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Archive(Strict):
    """A .zip file whose members belong into the folder of a data set.

    Attributes:
        url: an address (https://…), or a file beside the card, relative to its folder.
        checksum: of the archive, "sha256:…" or "md5:…", in hexadecimal digits.
    """

    url: Place
    checksum: Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32})$")]

    @model_validator(mode="after")
    def _is_web_or_file(self) -> Self:
        if "://" in self.url and not self.is_web:
            raise ValueError(f"url: must begin with https:// or http://, or name a file, not {self.url[:80]!r}")
        return self

    @property
    def is_web(self) -> bool:
        """Whether it lies elsewhere, and not beside the card."""
        return self.url.startswith(("https://", "http://"))


class Get(Strict):
    """Where the files come from, and where they are expected.

    Attributes:
        root: their folder, relative to the card's own, or with environment variables (`$NAME`).
        source: who has them.
        tree: of files that must lie in the folder, as text.
        archives: that fill the folder, of data that anyone may fetch.
    """

    root: Place
    source: Line = "its owner"
    tree: Prose = ""
    archives: tuple[Archive, ...] = Field(default=(), max_length=MOST)

    @property
    def embedded(self) -> bool:
        """Whether the files travel with the card, as archives beside it."""
        return bool(self.archives) and not any(archive.is_web for archive in self.archives)


ROLES = {
    "siim": "SIIM-ACR Pneumothorax Segmentation (Arun et al.)",
    "rsna": "RSNA Pneumonia Detection (Arun et al.)",
    "cells": "the ten-class cells (Tjoa & Guan)",
    "mura": "MURA (Venkatesh et al.)",
    "chexpert": "CheXpert, five findings (Shu et al.)",
    "mnist": "MNIST, 8 and 3 (the review, of Lundberg & Lee)",
}
"""The papers' data sets by the name under which claims ask for them."""


class Plays(Strict):
    """Which of the papers' data sets a card is, or stands for.

    Attributes:
        role: a name in ROLES.
        data: "original" for the paper's own images; "redrawn" for images drawn anew by the paper's recipe; "stand-in"
            for other images in their place.
    """

    role: str
    data: Literal["original", "redrawn", "stand-in"]

    @model_validator(mode="after")
    def _role_is_known(self) -> Self:
        if self.role not in ROLES:
            raise ValueError(str(unknown_name("role", self.role, ROLES)))
        return self


class _ByReaders(Strict):
    """How files say which of several readers drew what.

    Attributes:
        reader: the column, or the key of an annotation, that names the reader; None where the files know of no readers.
        votes: how many readers must have marked a pixel of the truth: 1 for the union of what they drew.
    """

    reader: Word | None = None
    votes: Whole = Field(default=1, ge=1, le=100)

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

    file: Place
    image: Word
    folder: MaybePlace = ""
    suffix: MaybePlace = ""
    label: Word | None = None
    positive: Words = ()
    separator: Separator | None = None
    split: Word | None = None
    group: Word | None = None
    mask: Word | None = None
    x: Word | None = None
    y: Word | None = None
    width: Word | None = None
    height: Word | None = None
    right: Word | None = None
    bottom: Word | None = None

    @model_validator(mode="after")
    def _columns_are_described(self) -> Self:
        edges = [name for name in (self.x, self.y, self.width, self.height, self.right, self.bottom) if name]
        if doubled(edges):
            raise ValueError(f"'x' to 'bottom' need a column each, not {', '.join(edges)}")
        if (self.width and self.right) or (self.height and self.bottom):
            raise ValueError("a box has 'width' or 'right', and 'height' or 'bottom', not both")
        if (self.positive or self.separator) and not self.label:
            raise ValueError("'positive' and 'separator' are of the words in 'label', which is not given")
        return self

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
    files: Place | dict[SplitName, Place]
    images: Place | dict[SplitName, Place]
    names: Words = ()
    positive: Words = ()

    @model_validator(mode="after")
    def _names_are_of_yolo(self) -> Self:
        if self.names and self.format != "yolo":
            raise ValueError(f"'names' are for the format 'yolo'; files of '{self.format}' name their categories")
        if doubled(self.names):
            raise ValueError("'names' needs each category once")
        return self


class Model(Strict):
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
        bounded_logits: whether its logits are bounded by design, as by 30 tanh(z / 30). Without it, outputs that never
            leave an interval are taken for probabilities and refused.
        finding: the class that is the card's finding, where it is not called so.
    """

    source: Place
    name: str = Field(default="", max_length=LONGEST_NAME, pattern=r"^[a-z0-9]*(-[a-z0-9]+)*$")
    architecture: MaybePlace = ""
    size: Whole | None = Field(default=None, ge=32, le=2048)
    channels: Annotated[Literal[1, 3], BeforeValidator(_no_truth)] | None = None
    input_range: tuple[Number, Number] | None = None
    mean: Numbers = ()
    std: Numbers = ()
    classes: Words = ()
    exclusive: bool | None = None
    bounded_logits: bool = False
    finding: Line = ""

    @model_validator(mode="after")
    def _normalization_is_described(self) -> Self:
        if self.input_range and self.input_range[0] == self.input_range[1]:
            raise ValueError("input_range: black and white need different values")
        if any(value <= 0 for value in self.std):
            raise ValueError(f"std: must be above 0, not {list(self.std)}")
        if doubled(self.classes):
            raise ValueError("'classes' needs each name once")
        return self

    def identity(self) -> dict[str, Any]:
        """What determines its outputs, but for the files themselves, whose checksum counts."""
        return self.model_dump(mode="json", exclude={"name", "source", "architecture", "bounded_logits"})


class Count(Strict):
    """Images of a split and, of these, those with the finding."""

    images: Whole = Field(gt=0, le=100_000_000)
    positive: Whole = Field(ge=0)

    @model_validator(mode="after")
    def _positive_are_images(self) -> Self:
        if self.positive > self.images:
            raise ValueError(f"{self.positive} of {self.images} images cannot have the finding")
        return self
