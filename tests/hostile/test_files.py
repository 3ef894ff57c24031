"""Hostile files: each is refused in one line that names it, or read for what it holds, by the loader of every data set.

Each loader has a small sound data set, in which a case spoils one thing. What leads out of the data set leads to a
sound file, so that a loader which followed it would see nothing wrong.
"""

import errno
import json
import os
import shutil
import signal
import socket
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian

import saltrust.datasets  # noqa: F401, it registers the loaders
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.datasets import images
from saltrust.datasets.loaders import LOADERS
from saltrust.datasets.records import Record
from saltrust.datasets.shapes import MaskFile
from tests.datasets import written
from tests.hostile.told import one_line

SQUARE = np.zeros((20, 40), np.uint8)
SQUARE[5:15, 10:30] = 255
LARGE = np.full((1024, 1024), 90, np.uint8)
PATIENT = "train/XR_WRIST/patient00001/study1_positive"
OTHER = "train/XR_HAND/patient00002/study1_negative"
VIA = "filename,region_shape_attributes"
RECT = '"{""name"":""rect"",""x"":10,""y"":5,""width"":20,""height"":10}"'
VOC = """<annotation><filename>a.png</filename><size><width>40</width><height>20</height></size>
<object><name>lesion</name><bndbox><xmin>11</xmin><ymin>6</ymin><xmax>30</xmax><ymax>15</ymax></bndbox></object>
</annotation>"""
COCO = {
    "images": [{"id": n, "file_name": f"{name}.png", "width": 40, "height": 20} for n, name in enumerate("ab")],
    "categories": [{"id": 1, "name": "lesion"}],
    "annotations": [
        {"id": 1, "image_id": 0, "category_id": 1, "bbox": [10, 5, 20, 10], "segmentation": [[10, 5, 30, 5, 30, 15]]}
    ],
}


@dataclass(frozen=True)
class Set:
    """A sound data set of two images or more.

    Attributes:
        write: writes its files into a folder.
        texts: those of its files that are texts, each of which is needed, but for those in `optional`.
        image: the file of an image with the finding.
        card: what its card says, beside the place of the files.
        optional: texts without which an image has no finding.
    """

    write: Callable[[Path], None]
    texts: tuple[str, ...]
    image: str
    card: dict[str, Any] = field(default_factory=dict)
    optional: tuple[str, ...] = ()


def _pictures(root: Path) -> None:
    for name in "ab":
        written.picture(root / "images" / f"{name}.png", SQUARE)


def _folder(root: Path) -> None:
    _pictures(root)
    written.picture(root / "masks/a.png", SQUARE)
    written.text(root / "t.csv", "image,label,mask", "images/a.png,1,masks/a.png", "images/b.png,0,")


def _coco(root: Path) -> None:
    _pictures(root)
    (root / "a.json").write_text(json.dumps(COCO))


def _voc(root: Path) -> None:
    _pictures(root)
    written.text(root / "xml/a.xml", VOC)
    written.text(root / "xml/b.xml", "<annotation><filename>b.png</filename></annotation>")


def _yolo(root: Path) -> None:
    _pictures(root)
    written.text(root / "labels/a.txt", "0 0.5 0.5 0.5 0.5")
    written.text(root / "labels/classes.txt", "lesion")


def _chexpert(root: Path) -> None:
    outlines = {"patient1_study1_view1_frontal": {"Cardiomegaly": [[[10, 5], [30, 5], [30, 15]]], "img_size": [20, 40]}}
    for part, first in (("val", 1), ("test", 3)):
        written.text(
            root / f"CheXpert/{part}_labels.csv",
            "Path,Cardiomegaly",
            f"{part}/patient{first}/study1/view1_frontal.jpg,1.0",
            f"{part}/patient{first + 1}/study1/view1_frontal.jpg,0.0",
        )
        written.text(root / f"CheXlocalize/gt_segmentations_{part}.json", json.dumps(outlines))
        for patient in (first, first + 1):
            written.picture(root / f"CheXpert/{part}/patient{patient}/study1/view1_frontal.jpg", SQUARE)
        outlines = {}


def _mura(root: Path) -> None:
    studies = {PATIENT: 1, OTHER: 0}
    for part, of in (("train", studies), ("valid", {"valid/XR_HAND/patient00003/study1_negative": 0})):
        written.text(root / f"MURA-v1.1/{part}_labeled_studies.csv", *(f"MURA-v1.1/{s}/,{n}" for s, n in of.items()))
        written.text(root / f"MURA-v1.1/{part}_image_paths.csv", *(f"MURA-v1.1/{s}/image1.png" for s in of))
        for study in of:
            written.picture(root / f"MURA-v1.1/{study}/image1.png", SQUARE)
    for reader in (1, 2, 3):
        written.text(root / f"rad{reader}_annotations.csv", VIA, f"train_WRIST_p00001_s1_image1.png,{RECT}")


def _nih(root: Path) -> None:
    written.text(
        root / "Data_Entry_2017.csv",
        "Image Index,Finding Labels,Patient ID",
        "a.png,Mass,1",
        "b.png,No Finding,2",
    )
    written.text(root / "BBox_List_2017.csv", "Image Index,Finding Label,Bbox [x,y,w,h]", "a.png,Mass,100,50,200,100")
    written.text(root / "list.txt", "a.png", "b.png")
    for name in "ab":
        written.picture(root / f"images/{name}.png", LARGE)


def _rsna(root: Path) -> None:
    written.text(root / "stage_2_train_labels.csv", "patientId,x,y,width,height,Target", "a,9,9,50,50,1", "b,,,,,0")
    written.text(root / "stage_2_detailed_class_info.csv", "patientId,class", "a,Lung Opacity", "b,Normal")
    written.text(root / "splits.csv", "Image_ID,Split", "a,train", "b,test")
    pairs = [{"subset_img_id": name, "img_id": f"{name}_0.png"} for name in "ab"]
    (root / "patients.json").write_text(json.dumps(pairs))
    for name in "ab":
        written.dicom(root / f"stage_2_train_images/{name}.dcm", LARGE, jpeg=False)


def _siim(root: Path) -> None:
    written.text(root / "train-rle.csv", "ImageId,EncodedPixels", "a,100 50", "b,-1")
    for name in "ab":
        written.dicom(root / f"study/series/{name}.dcm", LARGE, jpeg=False)


def _vindr(root: Path) -> None:
    head = "image_id,class_name,rad_id,x_min,y_min,x_max,y_max"
    drawn = [f"a,Cardiomegaly,R{n},10,5,30,15" for n in range(3)]
    written.text(root / "train.csv", head, *drawn, *(f"b,No finding,R{n},,,," for n in range(3)))
    for name in "ab":
        written.dicom(root / f"train/{name}.dicom", SQUARE, jpeg=False)


def _annotated(kind: str, files: str, truth: str = "box") -> dict[str, Any]:
    return {"loader": "folder", "truth": truth, "annotations": {"format": kind, "files": files, "images": "images"}}


TABLE = {"file": "t.csv", "image": "image", "label": "label", "mask": "mask"}
SETS = {
    "folder": Set(_folder, ("t.csv",), "images/a.png", {"table": TABLE}),
    "folder_with_readers": Set(_folder, ("t.csv",), "images/a.png", {"table": TABLE}),
    "coco": Set(_coco, ("a.json",), "images/a.png", _annotated("coco", "a.json", "mask")),
    "voc": Set(_voc, ("xml/a.xml",), "images/a.png", _annotated("voc", "xml"), optional=("xml/a.xml",)),
    "yolo": Set(
        _yolo,
        ("labels/a.txt", "labels/classes.txt"),
        "images/a.png",
        _annotated("yolo", "labels"),
        optional=("labels/a.txt",),
    ),
    "chexpert": Set(
        _chexpert,
        ("CheXpert/val_labels.csv", "CheXlocalize/gt_segmentations_val.json"),
        "CheXpert/val/patient1/study1/view1_frontal.jpg",
        {"parameters": {"finding": "Cardiomegaly"}},
    ),
    "mura": Set(
        _mura,
        ("MURA-v1.1/train_labeled_studies.csv", "MURA-v1.1/train_image_paths.csv", "rad1_annotations.csv"),
        f"MURA-v1.1/{PATIENT}/image1.png",
        {"parameters": {"negatives": 0}},
    ),
    "nih": Set(
        _nih,
        ("Data_Entry_2017.csv", "BBox_List_2017.csv", "list.txt"),
        "images/a.png",
        {"truth": "box", "parameters": {"finding": "Mass", "only": "list.txt"}},
    ),
    "rsna": Set(
        _rsna,
        ("stage_2_train_labels.csv", "stage_2_detailed_class_info.csv", "splits.csv", "patients.json"),
        "stage_2_train_images/a.dcm",
        {"truth": "box", "shares": {}, "parameters": {"splits": "splits.csv", "patients": "patients.json"}},
    ),
    "siim": Set(_siim, ("train-rle.csv",), "study/series/a.dcm"),
    "vindr": Set(_vindr, ("train.csv",), "train/a.dicom", {"parameters": {"finding": "Cardiomegaly"}}),
}


def card_of(name: str, root: Path, **fields: Any) -> Card:
    """The card of a data set whose files lie under the root; fields: what is other than in SETS."""
    found = {"loader": name, "truth": "mask", "shares": written.SHARES} | SETS[name].card | fields
    return written.card(root=root, **found)


Spoil = Callable[[Path, Path, pytest.MonkeyPatch], None]
"""Spoils a file (second) under a root (first)."""


@dataclass(frozen=True)
class Case:
    """What is spoiled in a data set.

    Attributes:
        of: the data set, a name in SETS.
        file: that is spoiled.
        spoil: how.
        says: what the one line must hold; None where the data set is sound all the same.
        fields: of the card, other than in SETS.
    """

    of: str
    file: str
    spoil: Spoil
    says: str | None
    fields: dict[str, Any] = field(default_factory=dict)


# --- what stands in the place of a file -------------------------------------------------------------------------------


def _removed(root: Path, file: Path, patch: pytest.MonkeyPatch) -> None:
    file.unlink()


def _as_folder(root: Path, file: Path, patch: pytest.MonkeyPatch) -> None:
    file.unlink()
    file.mkdir()


def _as_pipe(root: Path, file: Path, patch: pytest.MonkeyPatch) -> None:
    file.unlink()
    os.mkfifo(file)


def _as_socket(root: Path, file: Path, patch: pytest.MonkeyPatch) -> None:
    file.unlink()
    patch.chdir(file.parent)  # whose path may be too long for a socket's
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(file.name)


def _as_link(target: str) -> Spoil:
    def spoil(root: Path, file: Path, patch: pytest.MonkeyPatch) -> None:
        file.unlink()
        file.symlink_to(target.format(name=file.name))

    return spoil


def _led_out(root: Path, file: Path, patch: pytest.MonkeyPatch) -> None:
    outside = root.parent / f"outside-{file.name}"
    file.rename(outside)
    file.symlink_to(outside)


def _folder_led_out(root: Path, file: Path, patch: pytest.MonkeyPatch) -> None:
    outside = root.parent / "outside"
    file.parent.rename(outside)
    file.parent.symlink_to(outside)


def _led_within(root: Path, file: Path, patch: pytest.MonkeyPatch) -> None:
    kept = root / "kept" / f"{file.name}.kept"
    kept.parent.mkdir()
    file.rename(kept)
    file.symlink_to(kept)


def _unreadable(root: Path, file: Path, patch: pytest.MonkeyPatch) -> None:
    """As for another user; root may read what it may not."""
    there = os.open

    def refuse(path, *arguments, **options):
        if os.fspath(path) == str(file):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return there(path, *arguments, **options)

    patch.setattr(os, "open", refuse)


def _with(content: bytes | str) -> Spoil:
    def spoil(root: Path, file: Path, patch: pytest.MonkeyPatch) -> None:
        file.unlink(missing_ok=True)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    return spoil


def _changed(old: str, new: str) -> Spoil:
    def spoil(root: Path, file: Path, patch: pytest.MonkeyPatch) -> None:
        text = file.read_text()
        assert old in text
        _with(text.replace(old, new))(root, file, patch)

    return spoil


def _halved(root: Path, file: Path, patch: pytest.MonkeyPatch) -> None:
    content = file.read_bytes()
    _with(content[: len(content) // 2])(root, file, patch)


def _vanishing(root: Path, file: Path, patch: pytest.MonkeyPatch) -> None:
    """It is listed, and gone when it is looked at."""
    there = os.lstat

    def look(path, *arguments, **options):
        if os.fspath(path) == str(file):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return there(path, *arguments, **options)

    patch.setattr(os, "lstat", look)


def _folder_unlisted(number: int) -> Spoil:
    def spoil(root: Path, file: Path, patch: pytest.MonkeyPatch) -> None:
        there = os.scandir

        def refuse(path):
            if os.fspath(path) == str(file.parent):
                raise OSError(number, os.strerror(number), str(path))
            return there(path)

        patch.setattr(os, "scandir", refuse)

    return spoil


PLACES: dict[str, tuple[Spoil, bool]] = {
    "is missing": (_removed, False),
    "is a folder": (_as_folder, True),
    "is a pipe": (_as_pipe, True),
    "is a socket": (_as_socket, True),
    "is a device": (_as_link("/dev/zero"), True),
    "is a link out of the data set": (_led_out, True),
    "is a link to itself": (_as_link("{name}"), True),
    "is a link to nothing": (_as_link("nowhere"), True),
    "may not be read": (_unreadable, True),
}
"""What a file of any kind may be, and whether it is refused also where the file is not needed."""

TEXTS: dict[str, Spoil] = {
    "is empty": _with(b""),
    "is not UTF-8": _with(b"\xff\xfea,b\n1,2\n"),
    "is an image": _with(b"\x89PNG\r\n\x1a\n" + bytes(64)),
    "is of null characters": _with(bytes(64)),
    "breaks off": _halved,
    "is nested 100,000 deep": _with("[" * 100_000),
}


def png(
    width: int, height: int, depth: int = 8, colour: int = 0, rows: bytes | None = None, more: bytes = b""
) -> bytes:
    """A PNG file of any header. rows: its pixels, by default as many black ones as it says; more: further chunks."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    line = 1 + (width * channels * depth + 7) // 8
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(line * height) if rows is None else rows))
    return b"\x89PNG\r\n\x1a\n" + header + more + data + chunk(b"IEND", b"")


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


IMAGES: dict[str, Spoil] = {
    "is empty": _with(b""),
    "is a text": _with("no image\n"),
    "breaks off": _halved,
    "says that it has 4 billion pixels": _with(png(65_000, 65_000, rows=b"\0")),
}

CASES: dict[str, Case] = {}
for _name, _set in SETS.items():
    for _file in (*_set.texts, _set.image):
        for _kind, (_spoil, _always) in PLACES.items():
            _sound = _file in _set.optional and not _always
            CASES[f"{_name}: {_file} {_kind}"] = Case(_name, _file, _spoil, None if _sound else "")
        CASES[f"{_name}: {_file} is a link within the data set"] = Case(_name, _file, _led_within, None)
    for _file in _set.texts:
        for _kind, _spoil in TEXTS.items():
            if _kind == "breaks off" and _file.endswith(("list.txt", "paths.csv", "classes.txt")):
                continue  # a list may end anywhere
            _sound = _file == "labels/a.txt" and _kind == "is empty"
            CASES[f"{_name}: {_file} {_kind}"] = Case(_name, _file, _spoil, None if _sound else "")
    for _kind, _spoil in IMAGES.items():
        CASES[f"{_name}: {_set.image} {_kind}"] = Case(_name, _set.image, _spoil, Path(_set.image).name)
    CASES[f"{_name}: the folder of images leads out"] = Case(_name, _set.image, _folder_led_out, "")
    CASES[f"{_name}: an image vanishes"] = Case(_name, _set.image, _vanishing, "vanished while its data set was read")
    CASES[f"{_name}: the folder of images may not be read"] = Case(
        _name, _set.image, _folder_unlisted(errno.EACCES), "the folder cannot be read"
    )
    CASES[f"{_name}: the folder of images vanishes"] = Case(
        _name, _set.image, _folder_unlisted(errno.ENOENT), "vanished while its data set was read"
    )


# --- names ------------------------------------------------------------------------------------------------------------


def _beside(name: bytes | str, kind: Callable[[str | bytes], None] | None = None) -> Spoil:
    """Another file beside the image."""

    def spoil(root: Path, file: Path, patch: pytest.MonkeyPatch) -> None:
        other = os.path.join(os.fsencode(file.parent), os.fsencode(name))
        kind(other) if kind else shutil.copyfile(os.fsencode(file), other)

    return spoil


for _name, _set in SETS.items():
    _suffix, _listed = Path(_set.image).suffix, _name in ("voc", "yolo")  # whose loaders take every picture of a folder
    for _kind, _other, _says in (
        ("not UTF-8", b"\xff\xfe" + _suffix.encode(), "is not the name of a file"),
        ("of two lines", "x\ny" + _suffix, "is not the name of a file"),
        ("with a terminal's escape", "x\x1b[31m" + _suffix, "is not the name of a file"),
        ("with an override of the reading direction", "x\u202ey" + _suffix, "is not the name of a file"),
    ):
        CASES[f"{_name}: another image's name, {_kind}"] = Case(
            _name, _set.image, _beside(_other), _says if _listed else None
        )
    CASES[f"{_name}: another image's name differs in case alone"] = Case(
        _name, _set.image, _beside(Path(_set.image).name.upper()), None
    )
    CASES[f"{_name}: a pipe lies beside the image"] = Case(_name, _set.image, _beside("pipe", os.mkfifo), None)
    CASES[f"{_name}: a table that is a pipe lies beside the image"] = Case(
        _name, _set.image, _beside("pipe.csv", os.mkfifo), None
    )
    CASES[f"{_name}: a table that leads out lies beside the image"] = Case(
        _name, _set.image, _beside("out.csv", lambda path: os.symlink(b"/dev/zero", path)), None
    )


def _table(*lines: str, file: str = "t.csv", **fields: Any) -> tuple[str, Spoil, dict[str, Any]]:
    return file, _with("".join(f"{line}\n" for line in lines)), fields


def _named(name: str) -> tuple[str, Spoil, dict[str, Any]]:
    return _table("image,label,mask", "images/b.png,0,", f"{name},1,masks/a.png")


FOLDER: dict[str, tuple[tuple[str, Spoil, dict[str, Any]], str | None]] = {
    "an image's name that leads out": (_named("../outside.png"), "leaves the data folder"),
    "an image's name from the root of the machine": (_named("/etc/passwd"), "is absolute"),
    "an image's name that is too long": (_named("x" * 300 + ".png"), "File name too long"),
    "an image's path that is too long": (_named("x/" * 3000 + ".png"), "File name too long"),
    "an image's name with a null character": (_named("a\0b.png"), "is not the name of a file"),
    "an image's name with a terminal's escape": (_named("a\x1b[31m.png"), "is not the name of a file"),
    "an image's name of two lines": (_named('"a\nb.png"'), "is not the name of a file"),
    "an image's name with a space without width": (_named("a\u200b.png"), "is not the name of a file"),
    "an image that is the folder": (_named("images"), "is a folder"),
    "an image that is the data set": (_named("."), "is a folder"),
    "an image below an image": (_named("images/a.png/a.png"), "no image"),
    "an image of another user": (_named("~nosuchuser/a.png"), "no image"),
    "an image in a variable": (_named("$HOME/a.png"), "no image"),
    "an image on the web": (_named("https://example.com/a.png"), "no image"),
    "an image's name in another case": (_named("images/A.png"), "no image"),
    "an image without a name": (_named(""), "column 'image' is empty"),
    "an image called NaN": (_named("NaN"), "column 'image' is empty"),
    "a mask that leads out": (_table("image,label,mask", "images/a.png,1,../a.png"), "leaves the data folder"),
    "a mask that is a folder": (_table("image,label,mask", "images/a.png,1,masks", "images/b.png,0,"), "is a folder"),
    "a mask without the finding": (_table("image,label,mask", "images/a.png,1,", "images/b.png,0,"), "has no truth"),
    "a finding without a mask": (
        _table("image,label,mask", "images/a.png,0,masks/a.png", "images/b.png,1,masks/a.png"),
        "has truth but is labelled 0",
    ),
    "no column of labels": (_table("image,mask", "images/a.png,masks/a.png"), "no column 'label'"),
    "a column twice": (
        _table("image,label,mask,label", "images/a.png,1,masks/a.png,0"),
        "two columns are called 'label'",
    ),
    "a column that is not used twice": (
        _table("image,label,mask,x,x", "images/a.png,1,masks/a.png,1,2", "images/b.png,0,,1,2"),
        None,
    ),
    "a row too short": (
        _table("image,label,mask", "images/a.png,1,masks/a.png", "images/b.png,0"),
        "line 3 has 2 cells",
    ),
    "a row too long": (
        _table("image,label,mask", "images/a.png,1,masks/a.png,9", "images/b.png,0,"),
        "line 2 has 4 cells",
    ),
    "no rows": (_table("image,label,mask"), "has no rows"),
    "empty rows": (_table("image,label,mask", ",,", "", ",,"), "has no rows"),
    "no headings": (_table("images/a.png,1,masks/a.png", "images/b.png,0,"), "no column 'image'"),
    "semicolons": (_table("image;label;mask", "images/a.png;1;masks/a.png"), "no column 'image'"),
    "tabs": (_table("image\tlabel\tmask", "images/a.png\t1\tmasks/a.png"), "no column 'image'"),
    "a quote that is not closed": (_table("image,label,mask", '"images/a.png,1,masks/a.png'), "unexpected end of data"),
    "text behind a quote": (_table("image,label,mask", '"images/a.png"x,1,masks/a.png'), "not a CSV table"),
    "a label that is a word": (_table("image,label,mask", "images/a.png,yes,masks/a.png"), "must be 0 or 1"),
    "a label in digits of another script": (
        _table("image,label,mask", "images/a.png,１,masks/a.png"),
        "must be 0 or 1",
    ),
    "a label of two": (_table("image,label,mask", "images/a.png,2,masks/a.png"), "must be 0 or 1"),
    "no label": (_table("image,label,mask", "images/a.png,,masks/a.png"), "column 'label' is empty"),
    "two labels of an image": (
        _table("image,label,mask", "images/a.png,1,masks/a.png", "images/a.png,0,"),
        "lines 2 and 3: label of images/a.png",
    ),
    "an image by two paths": (
        _table(
            "image,label,mask", "images/a.png,1,masks/a.png", "images/../images/a.png,1,masks/a.png", "images/b.png,0,"
        ),
        None,  # two images that are alike are what `quality` tells
    ),
    "Windows' line ends": (
        ("t.csv", _with("image,label,mask\r\nimages/a.png,1,masks/a.png\r\nimages/b.png,0,\r\n"), {}),
        None,
    ),
    "old Macs' line ends": (
        ("t.csv", _with("image,label,mask\rimages/a.png,1,masks/a.png\rimages/b.png,0,"), {}),
        None,
    ),
    "a byte order mark": (
        ("t.csv", _with("\ufeffimage,label,mask\nimages/a.png,1,masks/a.png\nimages/b.png,0,\n"), {}),
        None,
    ),
    "Latin-1": (
        ("t.csv", _with("image,label,mask\nimages/ö.png,1,x\n".encode("latin-1")), {}),
        "not a text file in UTF-8",
    ),
    "UTF-16": (
        ("t.csv", _with("image,label,mask\nimages/a.png,1,x\n".encode("utf-16")), {}),
        "not a text file in UTF-8",
    ),
    "a cell of 200,000 characters": (
        _table("image,label,mask,x", f"images/a.png,1,masks/a.png,{'y' * 200_000}", "images/b.png,0,,"),
        None,
    ),
    "a card's file that leads out": (
        _table("image", "a", table=TABLE | {"file": "../t.csv"}),
        "leaves the data folder",
    ),
    "a card's file that is the folder": (_table("image", "a", table=TABLE | {"file": "images"}), "is a folder"),
}
CASES |= {f"folder: {name}": Case("folder", *spoiled[:2], says, spoiled[2]) for name, (spoiled, says) in FOLDER.items()}

BOX = {"file": "t.csv", "image": "image", "x": "x", "y": "y", "width": "w", "height": "h"}
EDGES = {
    "words": ("one,5,20,10", "'one' is not a number"),
    "digits of another script": ("１０,5,20,10", "'１０' is not a number"),
    "Arabic digits": ("١٠,5,20,10", "'١٠' is not a number"),
    "underscores": ("1_0,5,20,10", "'1_0' is not a number"),
    "infinity": ("inf,5,20,10", "'inf' is not a number"),
    "more than all floats": ("1e999,5,20,10", "'1e999' is not a number"),
    "hexadecimal digits": ("0xA,5,20,10", "'0xA' is not a number"),
    "three edges": ("10,5,20,", "'' is not a number"),
    "a width below nothing": ("10,5,-20,10", "must not be negative"),
    "no width": ("10,5,0,10", "covers none of its pixels"),
    "a place outside": ("100,5,20,10", "covers none of its pixels"),
    "a place far outside": ("1e300,5,20,10", "covers none of its pixels"),
    "5,000 digits": ("9" * 5000 + ",5,20,10", "is not a number"),
}
CASES |= {
    f"folder: a box of {name}": Case(
        "folder",
        *_table("image,x,y,w,h", f"images/a.png,{edges}", "images/b.png,,,,")[:2],
        says,
        {"truth": "box", "table": BOX},
    )
    for name, (edges, says) in EDGES.items()
}


# --- annotations ------------------------------------------------------------------------------------------------------


def _json(change: Callable[[dict], object]) -> Spoil:
    content = json.loads(json.dumps(COCO))
    replaced = change(content)
    return _with(json.dumps(content if replaced is None else replaced))


def _annotation(**fields: Any) -> Spoil:
    return _json(lambda content: content["annotations"][0].update(fields))


def _image(**fields: Any) -> Spoil:
    return _json(lambda content: content["images"][0].update(fields))


def _mask(size: Any, counts: Any) -> Spoil:
    return _annotation(segmentation={"size": size, "counts": counts})


WHOLE = 20 * 40
COCO_FILES: dict[str, tuple[Spoil, str | None]] = {
    "a list": (_json(lambda c: [c]), "not COCO"),
    "a text": (_json(lambda c: "images"), "not COCO"),
    "null": (_with("null"), "not COCO"),
    "no images": (_json(lambda c: c.pop("images") and None), "needs a list 'images'"),
    "images by name": (_json(lambda c: c.update(images={})), "needs a list 'images'"),
    "images that are numbers": (_json(lambda c: c.update(images=[1])), "needs a list 'images'"),
    "a field twice": (_with('{"images": [], "images": []}'), "'images' is there twice"),
    "a comment": (_with("// a\n{}"), "not JSON"),
    "a number of 5,000 digits": (_with('{"images": [' + "9" * 5000 + "]}"), "not JSON"),
    "an id that is not a number": (
        _with('{"images": [{"id": NaN}], "categories": [], "annotations": []}'),
        "needs 'id'",
    ),
    "an id that is a list": (_image(id=[0]), "needs 'id'"),
    "an id that is true": (_image(id=True), "needs 'id'"),
    "an id that is null": (_image(id=None), "needs 'id'"),
    "an id twice": (_image(id=1), "two of the images have the id 1"),
    "a name that is a list": (_image(file_name=["a.png"]), "needs 'file_name'"),
    "a name that leads out": (_image(file_name="../../a.png"), "leaves the data folder"),
    "a name from the root of the machine": (_image(file_name="/etc/passwd"), "is absolute"),
    "half a character as a name": (_with(json.dumps(COCO).replace("a.png", "\\ud800.png")), "is not a text"),
    "a name with a null character": (_image(file_name="a\0.png"), "is not the name of a file"),
    "a name that is too long": (_image(file_name="x" * 300), "File name too long"),
    "an image that is not there": (_image(file_name="z.png"), "no image"),
    "another size": (_image(width=41), "41 x 20"),
    "a size that is a text": (_image(width="40"), "'width' and 'height' must be 2 numbers"),
    "a size of one side": (_json(lambda c: c["images"][0].pop("width") and None), "'width' and 'height' must be 2"),
    "an annotation of an image that is not there": (_annotation(image_id=9), "image_id 9 is not among the images"),
    "an annotation of an image by a text": (_annotation(image_id="0"), "image_id '0' is not among"),
    "an annotation of a category that is not there": (_annotation(category_id=9), "category_id 9 is not among"),
    "a category without a name": (_json(lambda c: c["categories"][0].pop("name") and None), "needs 'name'"),
    "no segmentation": (_annotation(segmentation=None), "has no 'segmentation'"),
    "an empty segmentation": (_annotation(segmentation=[]), "has no 'segmentation'"),
    "a segmentation that is a text": (_annotation(segmentation="10 5"), "has no 'segmentation'"),
    "a polygon of two points": (_annotation(segmentation=[[1, 1, 5, 5]]), "polygon of 2 points"),
    "a polygon of half a point": (_annotation(segmentation=[[1, 1, 5, 5, 9, 9, 3]]), "polygon of 7 numbers"),
    "a polygon of words": (_annotation(segmentation=[["a", "b"]]), "must be a list of numbers"),
    "a polygon of digits": (_annotation(segmentation=["123456"]), "must be a list of numbers"),
    "a polygon of truth values": (_annotation(segmentation=[[True] * 6]), "must be a list of numbers"),
    "a polygon that is infinite": (_annotation(segmentation=[[float("inf")] * 6]), "must be a list of numbers"),
    "a polygon that is not a number": (_annotation(segmentation=[[float("nan")] * 6]), "must be a list of numbers"),
    "a polygon far away": (_annotation(segmentation=[[1e8, 1e8, 2e8, 1e8, 2e8, 2e8]]), "covers none of its pixels"),
    "a polygon without an inside": (_annotation(segmentation=[[5, 5, 5, 5, 5, 5]]), "covers none of its pixels"),
    "a polygon that surrounds the image": (
        _annotation(segmentation=[[-9e8, -9e8, 9e8, -9e8, 9e8, 9e8, -9e8, 9e8]]),
        None,
    ),
    "a mask of another size": (_mask([40, 20], [0, WHOLE]), "COCO mask is 20 x 40"),
    "a mask of too few pixels": (_mask([20, 40], [5, 5]), "COCO mask of 10 pixels"),
    "a mask of a run below nothing": (_mask([20, 40], [-5, WHOLE + 5]), "runs are 0 or more"),
    "a mask of half a pixel": (_mask([20, 40], [0.5, WHOLE - 0.5]), "whole numbers"),
    "a mask of half a size": (_mask([20.5, 40], [0, WHOLE]), "whole numbers"),
    "a mask of a size below nothing": (_mask([-20, -40], [0, WHOLE]), "COCO mask is -40 x -20"),
    "a mask of 900 million pixels": (_mask([30_000, 30_000], [0, 900_000_000]), "more than an image may have"),
    "a mask of a code that breaks off": (_mask([20, 40], "P"), "breaks off"),
    "a mask of a code with other letters": (_mask([20, 40], "\x7f"), "is not part of a compressed code"),
    "a mask of a code that never ends": (_mask([20, 40], "o" * 1000), "is not part of a compressed code"),
    "a mask without counts": (_mask([20, 40], None), "'counts' of a mask"),
    "a mask of counts by name": (_mask([20, 40], {"a": 1}), "'counts' of a mask"),
    "a mask without a size": (_mask(None, [0, WHOLE]), "'size' of a mask"),
    "a mask of the whole image": (_mask([20, 40], [0, WHOLE]), None),
}
CASES |= {f"coco: {name}": Case("coco", "a.json", spoil, says) for name, (spoil, says) in COCO_FILES.items()}


def _readers(*outlines: Any, by: int = 9) -> dict[str, Any]:
    """Outlines in the first image, each by the next of so many readers."""
    entries = [
        {"image_id": 0, "category_id": 1, "segmentation": one, "by": number % by} for number, one in enumerate(outlines)
    ]
    return COCO | {"annotations": entries}


FAR = [[1e8, 1e8, 2e8, 1e8, 2e8, 2e8, 1e8, 2e8]]
CASES |= {
    f"coco: {name}": Case(
        "coco",
        "a.json",
        _with(json.dumps(content)),
        says,
        {"annotations": {"format": "coco", "files": "a.json", "images": "images", "reader": "by", "votes": 2}},
    )
    for name, content, says in (
        ("two readers' polygons far away", _readers(FAR, FAR), "more than an image may have"),
        (
            "a thousand shapes of two readers",
            _readers(*[[[10, 5, 30, 5, 30, 15]]] * 1000, by=2),
            "may agree in 250,000 ways",
        ),
        ("one reader where two must agree", _readers([[10, 5, 30, 5, 30, 15]]), "the card wants 2 votes"),
        ("a reader who is a list", {**_readers(FAR, FAR), "annotations": [{"by": [1]}]}, "needs 'by'"),
        ("a reader who is nobody", {**_readers(FAR, FAR), "annotations": [{}]}, "needs 'by'"),
    )
}

ENTITIES = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "lol"}">' for i in range(10))
VOC_FILES: dict[str, tuple[Spoil, str | None]] = {
    "a bomb of entities": (_with(f"<!DOCTYPE a [{ENTITIES}]>{VOC.replace('lesion', '&e9;')}"), "has a document type"),
    "an entity of another file": (
        _with(f'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>{VOC.replace("lesion", "&x;")}'),
        "has a document type",
    ),
    "a document type elsewhere": (_with(f'<!DOCTYPE a SYSTEM "http://example.com/a.dtd">{VOC}'), "has a document type"),
    "an entity that is not there": (_changed("lesion", "&x;"), "undefined entity"),
    "an encoding that is not there": (_with(f'<?xml version="1.0" encoding="nowhere"?>{VOC}'), "not XML"),
    "a null character by number": (_changed("lesion", "&#0;"), "not XML"),
    "two roots": (_with(VOC + VOC), "not XML"),
    "a tag that is not closed": (_changed("</annotation>", ""), "not XML"),
    "100,000 tags in one another": (_with("<a>" * 100_000), "not XML"),
    "another root": (_with("<html></html>"), "has no <filename>"),
    "no name of the image": (_changed("<filename>a.png</filename>", ""), "has no <filename>"),
    "a name of the image of spaces": (_changed("a.png", "   "), "has no <filename>"),
    "a name that leads out": (_changed("a.png", "../../a.png"), "leaves the data folder"),
    "a name of an image that is not there": (_changed("a.png", "z.png"), "no image"),
    "another size": (_changed("<width>40", "<width>41"), "41 x 20"),
    "a size that is a word": (_changed("<width>40", "<width>forty"), "'forty' is not a number"),
    "a size in digits of another script": (_changed("<width>40", "<width>４０"), "'４０' is not a number"),
    "an edge that is a word": (_changed("<xmin>11", "<xmin>eleven"), "'eleven' is not a number"),
    "an edge that is not a number": (_changed("<xmin>11", "<xmin>nan"), "'nan' is not a number"),
    "an edge above all floats": (_changed("<xmax>30", "<xmax>1e999"), "'1e999' is not a number"),
    "an edge above all images": (_changed("<xmax>30", "<xmax>1e99"), "above the coordinates of any image"),
    "no edge": (_changed("<xmin>11</xmin>", ""), "has no <bndbox/xmin>"),
    "edges in the wrong order": (_changed("<xmin>11", "<xmin>99"), "must not be negative"),
    "a box outside": (
        _with(VOC.replace("<xmin>11", "<xmin>90").replace("<xmax>30", "<xmax>99")),
        "covers none of its pixels",
    ),
    "a name of an object of spaces": (_changed("lesion", "  "), "has no <name>"),
    "Latin-1 that says so": (_with(f'<?xml version="1.0" encoding="latin-1"?>{VOC}'.encode("latin-1")), None),
    "UTF-16": (_with(VOC.encode("utf-16")), None),
}
CASES |= {f"voc: {name}": Case("voc", "xml/a.xml", spoil, says) for name, (spoil, says) in VOC_FILES.items()}

YOLO_LINES: dict[str, tuple[str | bytes, str | None]] = {
    "a word as a category": ("lesion 0.5 0.5 0.5 0.5", "category 'lesion' is not a number"),
    "a category that is not there": ("1 0.5 0.5 0.5 0.5", "category '1' is not a number from 0 to 0"),
    "a category below nothing": ("-1 0.5 0.5 0.5 0.5", "category '-1'"),
    "a category in digits of another script": ("０ 0.5 0.5 0.5 0.5", "category '０'"),
    "a category of 5,000 digits": ("9" * 5000 + " 0.5 0.5 0.5 0.5", "category '999"),
    "a category with a sign": ("+0 0.5 0.5 0.5 0.5", "category '+0'"),
    "an empty line": ("\n0 0.5 0.5 0.5 0.5", "category ''"),
    "pixels in the place of parts": ("0 20 10 20 10", "needs parts of the image's width"),
    "a part that is not a number": ("0 nan 0.5 0.5 0.5", "'nan' is not a number"),
    "a part that is infinite": ("0 inf 0.5 0.5 0.5", "'inf' is not a number"),
    "a part in digits of another script": ("0 ０.5 0.5 0.5 0.5", "'０.5' is not a number"),
    "a part with an underscore": ("0 0.5_0 0.5 0.5 0.5", "'0.5_0' is not a number"),
    "three numbers": ("0 0.5 0.5 0.5", "3 numbers after the category"),
    "a polygon of two points and a half": ("0 0.1 0.1 0.5 0.5 0.9", "5 numbers after the category"),
    "no numbers": ("0", "0 numbers after the category"),
    "commas": ("0,0.5,0.5,0.5,0.5", "is not a number from 0"),
    "a box of nothing": ("0 0.5 0.5 0 0", "covers none of its pixels"),
    "a byte order mark": ("\ufeff0 0.5 0.5 0.5 0.5", None),
    "Windows' line ends": ("0 0.5 0.5 0.5 0.5\r\n", None),
}
CASES |= {
    f"yolo: {name}": Case("yolo", "labels/a.txt", _with(lines), says) for name, (lines, says) in YOLO_LINES.items()
}


def _described(content: str) -> Spoil:
    def spoil(root: Path, file: Path, patch: pytest.MonkeyPatch) -> None:
        (root / "labels/classes.txt").unlink()
        _with(content)(root, file, patch)

    return spoil


def _described_by_pipe(root: Path, file: Path, patch: pytest.MonkeyPatch) -> None:
    (root / "labels/classes.txt").unlink()
    os.mkfifo(file)


YOLO_NAMES: dict[str, tuple[Spoil, str | None]] = {
    "a word in the place of a list": (_described("names: lesion"), "needs 'names', a list"),
    "a number in the place of a list": (_described("names: 5"), "needs 'names', a list"),
    "a list in a list": (_described("names: [[lesion]]"), "each a word"),
    "names numbered from one": (_described("names: {1: lesion}"), "numbered from 0"),
    "names numbered by words": (_described("names: {a: lesion}"), "numbered from 0"),
    "a number twice": (_described("names: {0: lesion, 0: scar}"), "'0' is there twice"),
    "a name twice": (_described("names: [lesion, lesion]"), "a name of its own"),
    "an empty name": (_described('names: [lesion, ""]'), "'' is not the name of a category"),
    "no names": (_described("nc: 1"), "needs 'names'"),
    "a file that is a list": (_described("- lesion"), "needs 'names'"),
    "a Python object": (_described("names: !!python/object/apply:os.system [ls]"), "is not allowed"),
    "names within themselves": (_described("names: &a [*a]"), "refers to itself"),
    "a pipe": (_described_by_pipe, "is a pipe"),
    "names numbered from zero": (_described("names: {0: lesion}"), None),
}
CASES |= {f"yolo, data.yaml: {name}": Case("yolo", "data.yaml", *one) for name, one in YOLO_NAMES.items()}
CASES |= {
    "yolo: annotations of an image that is not there": Case(
        "yolo", "labels/z.txt", _with("0 0.5 0.5 0.5 0.5"), "no image of that name"
    ),
    "yolo: a category twice": Case("yolo", "labels/classes.txt", _with("lesion\nlesion\n"), "a name of its own"),
    "yolo: two files of one image": Case("yolo", "labels/a.TXT", _with("0 0.5 0.5 0.5 0.5"), "only one of them"),
    "yolo: two images of one name": Case("yolo", "images/a.jpg", _with(b""), "only one of them"),
}


# --- the published sets -----------------------------------------------------------------------------------------------

PUBLISHED: dict[str, tuple[str, str, Spoil, str | None]] = {
    "siim, runs of words": ("siim", "train-rle.csv", _changed("100 50", "a b"), "needs whole numbers"),
    "siim, runs in digits of another script": (
        "siim",
        "train-rle.csv",
        _changed("100 50", "１００ 50"),
        "whole numbers",
    ),
    "siim, runs below nothing": ("siim", "train-rle.csv", _changed("100 50", "-100 50"), "needs whole numbers"),
    "siim, half a run": ("siim", "train-rle.csv", _changed("100 50", "100 50 7"), "of 3 numbers"),
    "siim, a run of nothing": ("siim", "train-rle.csv", _changed("100 50", "100 0"), "lengths from 1"),
    "siim, no runs": ("siim", "train-rle.csv", _changed("100 50", ""), "of 0 numbers"),
    "siim, runs behind the image": ("siim", "train-rle.csv", _changed("100 50", "2000000 9"), "the runs reach pixel"),
    "siim, a run of 5,000 digits": ("siim", "train-rle.csv", _changed("100 50", "9" * 5000 + " 5"), "whole numbers"),
    "siim, a mask and none": ("siim", "train-rle.csv", _changed("b,-1", "b,-1\na,-1"), "a mask in one row and none"),
    "siim, an image that is not there": ("siim", "train-rle.csv", _changed("b,-1", "c,-1"), "not on this machine"),
    "siim, an image's name that leads out": (
        "siim",
        "train-rle.csv",
        _changed("b,-1", "../../b,-1"),
        "leaves the data",
    ),
    "siim, the same name twice": ("siim", "other/a.dcm", _with(b""), "two images are called a.dcm"),
    "siim, a name without an end": ("siim", "train-rle.csv", _changed("b,-1", ",-1"), "not on this machine"),
    "rsna, a class that does not exist": (
        "rsna",
        "stage_2_detailed_class_info.csv",
        _changed("Normal", "normal"),
        "unknown class 'normal'",
    ),
    "rsna, a box of words": ("rsna", "stage_2_train_labels.csv", _changed("a,9,9", "a,x,9"), "'x' is not a number"),
    "rsna, half a box": ("rsna", "stage_2_train_labels.csv", _changed("a,9,9", "a,9,"), "needs four numbers"),
    "rsna, a target of two": ("rsna", "stage_2_train_labels.csv", _changed("50,1", "50,2"), "Target must be 0 or 1"),
    "rsna, a split that does not exist": ("rsna", "splits.csv", _changed("a,train", "a,trian"), "did you mean 'train'"),
    "rsna, an image in two splits": (
        "rsna",
        "splits.csv",
        _changed("b,test", "b,test\na,val"),
        "is in 'train' already",
    ),
    "rsna, patients that are numbers": (
        "rsna",
        "patients.json",
        _with('[{"subset_img_id": 1, "img_id": 2}]'),
        "be texts",
    ),
    "rsna, patients that are a text": ("rsna", "patients.json", _with('"ab"'), "not a JSON list"),
    "rsna, patients that are null": ("rsna", "patients.json", _with("null"), "not a JSON list"),
    "rsna, an image of two patients": (
        "rsna",
        "patients.json",
        _with(json.dumps([{"subset_img_id": "a", "img_id": "1_0"}, {"subset_img_id": "a", "img_id": "2_0"}])),
        "is of patient 1 and of 2",
    ),
    "nih, a box of an image that is not there": (
        "nih",
        "BBox_List_2017.csv",
        _changed("a.png", "z.png"),
        "lacks the image",
    ),
    "nih, a box of an image without the finding": (
        "nih",
        "BBox_List_2017.csv",
        _changed("a.png", "b.png"),
        "does not find",
    ),
    "nih, a box of words": ("nih", "BBox_List_2017.csv", _changed("100,50", "x,50"), "'x' is not a number"),
    "nih, a finding and none": (
        "nih",
        "Data_Entry_2017.csv",
        _changed("Mass", "Mass|No Finding"),
        "among its findings",
    ),
    "nih, an image of two patients": (
        "nih",
        "Data_Entry_2017.csv",
        _changed("a.png,Mass,1", "a.png,Mass,1\na.png,Mass,2"),
        "another patient",
    ),
    "nih, an image of another size": ("nih", "images/a.png", _with(png(512, 512)), "512 x 512 pixels"),
    "vindr, a box of words": ("vindr", "train.csv", _changed("R0,10", "R0,x"), "'x' is not a number"),
    "vindr, a box without an inside": (
        "vindr",
        "train.csv",
        _changed("R0,10", "R0,30"),
        "a width and a height above 0",
    ),
    "vindr, a finding without a box": ("vindr", "train.csv", _changed("R0,10,5,30,15", "R0,,,,"), "without a box"),
    "vindr, no such finding": (
        "vindr",
        "train.csv",
        _changed("Cardiomegaly", "Nodule"),
        "unknown finding 'Cardiomegaly'",
    ),
    "mura, a study of both labels": (
        "mura",
        "MURA-v1.1/train_labeled_studies.csv",
        _with(f"MURA-v1.1/{PATIENT}/,1\nMURA-v1.1/{PATIENT.replace('positive', 'negative')}/,0\n"),
        "has both labels",
    ),
    "mura, a study in digits of another script": (
        "mura",
        "MURA-v1.1/train_labeled_studies.csv",
        _changed("patient00001", "patient٠٠٠٠١"),
        "is not a study",
    ),
    "mura, a study that leads out": (
        "mura",
        "MURA-v1.1/train_image_paths.csv",
        _changed("MURA-v1.1/train/XR_HAND", "../MURA-v1.1/train/XR_HAND"),
        "is not among the labelled ones",
    ),
    **{
        f"mura, a region {name}": ("mura", "rad1_annotations.csv", _changed(RECT, f'"{region}"'), says)
        for name, region, says in (
            ("that is a list", "[1]", "not a region as VIA writes it"),
            ("that is a text", '""rect""', "not a region as VIA writes it"),
            ("nested 100,000 deep", "[" * 100_000, "not a region as VIA writes it"),
            ("of an unknown shape", '{""name"":""star""}', "unknown shape of a region 'star'"),
            ("of a shape that is a list", '{""name"":[1]}', "unknown shape of a region"),
            ("with a field twice", '{""name"":""rect"",""name"":""rect""}', "is there twice"),
            ("of words", '{""name"":""rect"",""x"":""1"",""y"":1,""width"":1,""height"":1}', "must be 4 numbers"),
            ("without a width", '{""name"":""rect"",""x"":1,""y"":1,""height"":1}', "must be 4 numbers"),
            ("below nothing", '{""name"":""rect"",""x"":1,""y"":1,""width"":-1,""height"":1}', "must not be negative"),
            (
                "that is no number",
                '{""name"":""rect"",""x"":NaN,""y"":1,""width"":1,""height"":1}',
                "must be 4 numbers",
            ),
            (
                "of digits",
                '{""name"":""polygon"",""all_points_x"":""123"",""all_points_y"":""123""}',
                "list of numbers",
            ),
            (
                "of unequal points",
                '{""name"":""polygon"",""all_points_x"":[1,2,3],""all_points_y"":[1]}',
                "3 x and 1 y",
            ),
            ("of two points", '{""name"":""polygon"",""all_points_x"":[1,2],""all_points_y"":[1,2]}', "of 2 points"),
        )
    },
    **{
        f"chexpert, an outline {name}": (
            "chexpert",
            "CheXlocalize/gt_segmentations_val.json",
            _with(f'{{"patient1_study1_view1_frontal": {outline}}}'),
            says,
        )
        for name, outline, says in (
            ("that is a list", "[1]", "must hold the outlines of each image"),
            ("of a text", '{"Cardiomegaly": "heart"}', "neither a mask"),
            ("of a number", '{"Cardiomegaly": 5}', "neither a mask"),
            ("of digits", '{"Cardiomegaly": [["12", "34", "56"]]}', "a point must be 2 numbers"),
            ("of a text of points", '{"Cardiomegaly": ["123456"]}', "a list of points"),
            ("of two points", '{"Cardiomegaly": [[[1, 2], [3, 4]]]}', "polygon of 2 points"),
            ("of three axes", '{"Cardiomegaly": [[[1, 2, 3]]]}', "a point must be 2 numbers"),
            ("of no number", '{"Cardiomegaly": [[[NaN, 2], [3, 4], [5, 6]]]}', "a point must be 2 numbers"),
            ("without a size", '{"Cardiomegaly": {"counts": "a"}}', "'size' of a mask"),
            ("of a size in texts", '{"Cardiomegaly": {"size": ["20", "40"], "counts": "a"}}', "'size' of a mask"),
            ("of counts as a list", '{"Cardiomegaly": {"size": [20, 40], "counts": [0, 800]}}', "neither a mask"),
            (
                "of 10 billion pixels",
                '{"Cardiomegaly": {"size": [100000, 100000], "counts": "a"}}',
                "more than an image",
            ),
            (
                "of an image of a size by name",
                '{"Cardiomegaly": [[[10, 5], [30, 5], [30, 15]]], "img_size": "large"}',
                "'img_size' of patient1_study1_view1_frontal must be 2 whole numbers",
            ),
            (
                "of an image of another size",
                '{"Cardiomegaly": [[[10, 5], [30, 5], [30, 15]]], "img_size": [40, 20]}',
                "was drawn on 20 x 40",
            ),
        )
    },
    "chexpert, a label of two": (
        "chexpert",
        "CheXpert/val_labels.csv",
        _changed("jpg,1.0", "jpg,2.0"),
        "must be 1, 0, -1",
    ),
    "chexpert, a path that leads out": (
        "chexpert",
        "CheXpert/val_labels.csv",
        _changed("val/patient1/study1", "../../patient1/../study1"),
        "is not the path of an image",
    ),
}
CASES |= {name: Case(*one) for name, one in PUBLISHED.items()}


# --- pictures ---------------------------------------------------------------------------------------------------------


def _encoded(kind: str, pixels: np.ndarray | Image.Image = SQUARE, **options: Any) -> bytes:
    stream = BytesIO()
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(stream, kind, **options)
    return stream.getvalue()


def _turned() -> bytes:
    picture = Image.fromarray(SQUARE)
    exif = picture.getexif()
    exif[0x0112] = 6
    return _encoded("JPEG", picture, exif=exif)


def _dicom(**elements: Any) -> bytes:
    """A DICOM file of 40 x 20 pixels; elements: by keyword, None to leave one out."""
    stream = BytesIO()
    data = pydicom.dcmread(BytesIO(_SOUND))
    data.file_meta.TransferSyntaxUID = elements.pop("syntax", data.file_meta.TransferSyntaxUID)
    for name, value in elements.items():
        delattr(data, name) if value is None else setattr(data, name, value)
    data.save_as(stream)
    return stream.getvalue()


def _sound_dicom() -> bytes:
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data = pydicom.FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.Rows, data.Columns = SQUARE.shape
    data.BitsAllocated, data.BitsStored, data.HighBit = 8, 8, 7
    data.PixelData = SQUARE.tobytes()
    data["PixelData"].VR = "OB"
    stream = BytesIO()
    data.save_as(stream)
    return stream.getvalue()


_SOUND = _sound_dicom()
RAMP = np.tile(np.arange(40, dtype=np.uint8) * 6, (20, 1))
COLOUR = np.stack([RAMP, RAMP // 2, RAMP // 3], axis=2)
INDEXED = b"".join(b"\0" + bytes([0, 1, 2, 3]) for _ in range(4))


def _is(expected: Any) -> Callable[[np.ndarray], bool]:
    return lambda pixels: pixels.shape == np.shape(expected) and (pixels == expected).all()


PICTURES: dict[str, tuple[str, bytes, str | Callable[[np.ndarray], bool]]] = {
    "a palette that is not there": ("a.png", png(4, 4, 8, 3, INDEXED), "its palette has 0 colours"),
    "a palette too short": (
        "a.png",
        png(4, 4, 8, 3, INDEXED, chunk(b"PLTE", bytes(6))),
        "has 2 colours, and a pixel asks",
    ),
    "a palette of half a colour": (
        "a.png",
        png(4, 4, 8, 3, INDEXED, chunk(b"PLTE", bytes(7))),
        "has 2 colours, and a pixel asks",
    ),
    "a palette of greys": (
        "a.png",
        png(4, 4, 8, 3, INDEXED, chunk(b"PLTE", bytes([9, 9, 9, 8, 8, 8, 7, 7, 7, 6, 6, 6]))),
        _is(np.tile(np.array([9, 8, 7, 6], np.uint8), (4, 1))),
    ),
    "a PNG of no width": ("a.png", png(0, 4, rows=b"\0"), "cannot be read"),
    "a PNG of no height": ("a.png", png(4, 0, rows=b""), "cannot be read"),
    "a PNG of one pixel": ("a.png", png(1, 1), _is([[0]])),
    "a PNG of too many pixels": ("a.png", png(60_000, 60_000, rows=b"\0"), "cannot be read"),
    "a PNG of an unknown depth": ("a.png", png(4, 4, 7), "cannot be read"),
    "a PNG of 16 bits": ("a.png", png(2, 1, 16, 0, b"\0\0\0\xff\xff"), _is([[0, 255]])),
    "a PNG of 16 bits in colour": ("a.png", png(2, 1, 16, 2), "colour of 16 bits"),
    "a PNG of one bit": ("a.png", png(8, 1, 1, 0, b"\0\x0f"), _is([[0] * 4 + [255] * 4])),
    "a PNG that is transparent": ("a.png", _encoded("PNG", np.dstack([COLOUR, RAMP])), _is(COLOUR)),
    "a PNG in grey that is transparent": ("a.png", png(2, 1, 8, 4, b"\0\x05\0\x09\0"), _is([[5, 9]])),
    "a PNG of three equal channels": ("a.png", _encoded("PNG", np.dstack([RAMP] * 3)), _is(RAMP)),
    "a PNG with a wrong checksum": (
        "a.png",
        png(4, 4).replace(struct.pack(">II", 4, 4), struct.pack(">II", 4, 5)),
        "cannot be read",
    ),
    "a PNG without its end": ("a.png", _encoded("PNG", RAMP)[:-30], "cannot be read"),
    "a PNG without pixels": ("a.png", png(4, 4, rows=b""), "cannot be read"),
    "a PNG of broken pixels": (
        "a.png",
        png(4, 4).replace(zlib.compress(bytes(20)), b"\xff" * len(zlib.compress(bytes(20)))),
        "cannot be read",
    ),
    "a PNG with a text that grows": (
        "a.png",
        png(4, 4, more=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000)))),
        "cannot be read",
    ),
    "an animated PNG": (
        "a.png",
        _encoded("PNG", save_all=True, append_images=[Image.fromarray(RAMP)]),
        "holds 2 images; one is allowed",
    ),
    "an animated GIF": (
        "a.gif",
        _encoded("GIF", save_all=True, append_images=[Image.fromarray(RAMP)]),
        "holds 2 images; one is allowed",
    ),
    "a TIFF of two pages": (
        "a.tif",
        _encoded("TIFF", save_all=True, append_images=[Image.fromarray(RAMP)]),
        "holds 2 images; one is allowed",
    ),
    "a TIFF in CMYK": ("a.tif", _encoded("TIFF", Image.fromarray(COLOUR).convert("CMYK")), "pixels of mode 'CMYK'"),
    "a TIFF in LAB": ("a.tif", _encoded("TIFF", Image.new("LAB", (4, 4))), "pixels of mode 'LAB'"),
    "a TIFF that is not a number": ("a.tif", _encoded("TIFF", np.array([[0, np.nan]], np.float32)), "are not finite"),
    "a TIFF that is infinite": ("a.tif", _encoded("TIFF", np.array([[0, np.inf]], np.float32)), "are not finite"),
    "a TIFF of floats": ("a.tif", _encoded("TIFF", np.array([[0, 0.5, 1]], np.float32)), _is([[0, 128, 255]])),
    "a TIFF of one float": ("a.tif", _encoded("TIFF", np.full((2, 2), 7, np.float32)), _is([[0, 0], [0, 0]])),
    "a TIFF without a directory": ("a.tif", b"II*\0\xff\xff\xff\x7f", "cannot be read"),
    "a TIFF whose directory leads back": ("a.tif", b"II*\0\x08\0\0\0\0\0\x08\0\0\0", "cannot be read"),
    "a JPEG in CMYK": ("a.jpg", _encoded("JPEG", Image.fromarray(COLOUR).convert("CMYK")), "pixels of mode 'CMYK'"),
    "a JPEG on its side": ("a.jpg", _turned(), "its EXIF orientation is 6"),
    "a JPEG that breaks off": ("a.jpg", _encoded("JPEG", COLOUR)[:300], "cannot be read"),
    "a JPEG's head alone": ("a.jpg", b"\xff\xd8\xff\xe0", "cannot be read"),
    "a BMP of 4 billion pixels": (
        "a.bmp",
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 65_000, 65_000, 1, 8, 0, 0, 0, 0, 0, 0),
        "cannot be read",
    ),
    "a PPM of 4 billion pixels": ("a.ppm", b"P6 65000 65000 255\n", "cannot be read"),
    "a PPM of words": ("a.ppm", b"P6 wide high 255\n", "cannot be read"),
    "an EPS, which is a program": ("a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot be read"),
    "an SVG": ("a.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "cannot be read"),
    "an ICO": ("a.png", _encoded("ICO", Image.new("RGB", (16, 16))), "cannot be read"),
    "a JPEG that is called PNG": ("a.png", _encoded("JPEG", np.full((4, 4), 90, np.uint8)), _is(np.full((4, 4), 90))),
    "a sound DICOM": ("a.dcm", _dicom(), _is(SQUARE)),
    "a DICOM that is called PNG": ("a.png", _dicom(), _is(SQUARE)),
    "a PNG that is called DICOM": ("a.dcm", png(4, 4), "cannot be read as DICOM"),
    "a DICOM's head alone": ("a.dcm", bytes(128) + b"DICM", "no Rows and Columns"),
    "a DICOM without pixels": ("a.dcm", _dicom(PixelData=None), "has no pixel data"),
    "a DICOM of too few pixels": ("a.dcm", _dicom(PixelData=b"\0\0"), "cannot be read as DICOM"),
    "a DICOM of two sizes": ("a.dcm", _dicom() + b"\x28\0\x10\0US\2\0\5\0", "tells two sizes, 40 × 20 and 40 × 5"),
    "a DICOM of too many pixels": (
        "a.dcm",
        _dicom(PixelData=SQUARE.tobytes() * 2),
        "holds pixels for more than one image of 40 × 20",
    ),
    "a DICOM without rows": ("a.dcm", _dicom(Rows=None), "no Rows and Columns"),
    "a DICOM of no rows": ("a.dcm", _dicom(Rows=0), "no Rows and Columns"),
    "a DICOM of 4 billion pixels": ("a.dcm", _dicom(Rows=65_000, Columns=65_000), "more than an image may have"),
    "a DICOM of two frames": ("a.dcm", _dicom(NumberOfFrames=2), "holds 2 frames"),
    "a DICOM of a palette": ("a.dcm", _dicom(PhotometricInterpretation="PALETTE COLOR"), "photometric interpretation"),
    "a DICOM of an unknown interpretation": ("a.dcm", _dicom(PhotometricInterpretation="GREY"), "allowed: MONOCHROME1"),
    "a DICOM without an interpretation": ("a.dcm", _dicom(PhotometricInterpretation=None), "interpretation none"),
    "a DICOM without bits": ("a.dcm", _dicom(BitsAllocated=None), "cannot be read as DICOM"),
    "a DICOM of a window without width": ("a.dcm", _dicom(WindowCenter=1, WindowWidth=0), "its window is 0 wide"),
    "a DICOM of a window without centre": ("a.dcm", _dicom(WindowWidth=9), "its window has no centre"),
    "a DICOM of an unknown window": (
        "a.dcm",
        _dicom(WindowCenter=1, WindowWidth=9, VOILUTFunction="CUBIC"),
        "unknown VOI LUT function 'CUBIC'",
    ),
    "a DICOM that is inverted": ("a.dcm", _dicom(PhotometricInterpretation="MONOCHROME1"), _is(255 - SQUARE)),
    "a DICOM that is deflated": ("a.dcm", _dicom(syntax=DeflatedExplicitVRLittleEndian), "is deflated as a whole"),
    "a DICOM stored as a film": (
        "a.dcm",
        _dicom(syntax=pydicom.uid.MPEG2MPML, PixelData=encapsulate([bytes(64)])),
        "which nothing here decodes",
    ),
    "a DICOM stored as nobody knows": (
        "a.dcm",
        _SOUND.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.77"),
        "which nothing here decodes",
    ),
    "a DICOM that breaks off": ("a.dcm", _dicom()[:-400], "a.dcm"),
}

MASKS: dict[str, tuple[bytes, str | None]] = {
    "of another size": (png(20, 40), "mask is 20 x 40, its image 40 x 20"),
    "of one pixel": (png(1, 1), "mask is 1 x 1"),
    "of nothing": (png(0, 0, rows=b""), "cannot be read"),
    "without a finding": (png(40, 20), "covers none of its pixels"),
    "on its side": (_turned(), "its EXIF orientation is 6"),
    "of two images": (_encoded("GIF", save_all=True, append_images=[Image.fromarray(RAMP)]), "holds 2 images"),
    "without its palette": (png(40, 20, 8, 3, b"\0".join([b""] + [bytes([1]) * 40] * 20)), "its palette has 0 colours"),
    "in CMYK": (_encoded("JPEG", Image.new("CMYK", (40, 20))), "pixels of mode 'CMYK'"),
    "of 16 bits": (_encoded("PNG", SQUARE.astype(np.uint16)), None),
    "in colour": (_encoded("PNG", np.dstack([SQUARE, 0 * SQUARE, 0 * SQUARE])), None),
}
CASES |= {f"folder: a mask {name}": Case("folder", "masks/a.png", _with(m), s) for name, (m, s) in MASKS.items()}
SPOILED = dict(CASES)
CASES |= PICTURES


@pytest.fixture(autouse=True)
def _no_hang():
    """A safety net: what waits for ever on a pipe fails, and does not stop the others."""

    def fail(*_):
        raise TimeoutError("it waits for ever")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> dict[str, Path]:
    """Each data set as it is sound."""
    roots = {name: tmp_path_factory.mktemp(name) / "root" for name in SETS}
    for name, root in roots.items():
        root.mkdir()
        SETS[name].write(root)
    return roots


def copied(original: Path, folder: Path) -> Path:
    """A copy whose files are links to the same bytes, so that it costs little: a file is replaced, never written to."""
    return Path(shutil.copytree(original, folder / "root", copy_function=os.link))


def read(card: Card, file: Path) -> list[Record]:
    """What the files say, the pixels of the image that is that file, and what is drawn in it."""
    records = LOADERS[card.loader].records(card)
    for record in records:
        shapes = [shape for shape in record.truth or () if isinstance(shape, MaskFile)]
        if record.label or os.path.abspath(record.file) == str(file) or shapes:
            LOADERS[card.loader].load(card, record.split, None, 16, 0)
    return records


@pytest.mark.parametrize("name", SETS)
def test_a_sound_data_set_is_read(name, originals):
    root = originals[name]
    records = read(card_of(name, root), root / SETS[name].image)
    assert sorted(record.label for record in records)[-2:] == [0, 1] or len(records) > 2
    assert sum(record.label for record in records) == 1
    assert (root / SETS[name].image).samefile(next(record.file for record in records if record.label))


@pytest.mark.parametrize("case", SPOILED.values(), ids=SPOILED)
def test_a_spoiled_data_set_is_refused_in_one_line_or_read_for_what_it_holds(case, originals, tmp_path, monkeypatch):
    root = copied(originals[case.of], tmp_path)
    card = card_of(case.of, root, **case.fields)
    case.spoil(root, root / case.file, monkeypatch)
    if case.says is None:
        assert read(card, root / case.file)
        return
    with pytest.raises(SaltrustError) as error:
        read(card, root / case.file)
    one_line(error.value, case.says)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", PICTURES.values(), ids=PICTURES)
def test_a_picture_is_refused_in_one_line_or_read_for_what_it_shows(case, tmp_path):
    name, content, expected = case
    (tmp_path / name).write_bytes(content)
    if callable(expected):
        assert expected(images.read(tmp_path / name))
        return
    with pytest.raises(SaltrustError) as error:
        images.read(tmp_path / name)
    one_line(error.value, name, expected)


def test_the_loader_of_every_data_set_is_tried():
    assert {SETS[name].card.get("loader", name) for name in SETS} | {
        "phantom",
        "phantom_findings",
        "bones",
        "cells",
        "digits",
    } == set(LOADERS)
