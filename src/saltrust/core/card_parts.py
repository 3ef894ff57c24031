"""The parts of a data card: where files are, how tables and annotations are read, which models it brings along."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from saltrust.core.errors import unknown_name

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)


def _several(value: Any) -> Any:
    return (value,) if type(value) in (int, float) else value


Numbers = Annotated[tuple[float, ...], BeforeValidator(_several)]  # one number, or several


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Get(Strict):
    """Where the files come from, and where they are expected.

    Attributes:
        root: their folder, relative to the card's own, or with environment variables (`$NAME`).
        source: who has them.
        tree: of files that must lie in the folder, as text.
    """

    root: str
    source: str = "its owner"
    tree: str = ""


ROLES = {
    "siim": "SIIM-ACR Pneumothorax Segmentation (Arun et al.)",
    "rsna": "RSNA Pneumonia Detection (Arun et al.)",
    "cells": "the ten-class cells (Tjoa & Guan)",
    "mura": "MURA (Venkatesh et al.)",
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
    bounded_logits: bool = False
    finding: str = ""

    def identity(self) -> dict[str, Any]:
        """What determines its outputs, but for the files themselves, whose checksum counts."""
        return self.model_dump(mode="json", exclude={"name", "source", "architecture", "bounded_logits"})


class Count(Strict):
    """Images of a split and, of these, those with the finding."""

    images: int = Field(gt=0)
    positive: int = Field(ge=0)
