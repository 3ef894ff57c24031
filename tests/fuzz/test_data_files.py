"""Files of data sets with bytes, words, cells and nodes changed; and images drawn at random that must come out as they
went in."""

import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_codes

from saltrust.core.card_parts import SPLITS
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.datasets import images
from saltrust.datasets.check import check
from saltrust.datasets.loaders import LOADERS
from tests.datasets import (
    test_chexpert,
    test_folder,
    test_mura,
    test_nih,
    test_rsna,
    test_siim,
    test_vindr,
    written,
)
from tests.datasets.annotations import test_coco, test_voc, test_yolo
from tests.datasets.annotations.cards import card as annotated
from tests.fuzz import guard
from tests.fuzz.mutations import applied, edits

chexpert, mura, nih, rsna, siim, vindr = (
    one.original for one in (test_chexpert, test_mura, test_nih, test_rsna, test_siim, test_vindr)
)
SIDE = 24  # pixels to which images are read

CARDS = {
    "chexpert": lambda root: written.card(
        "chexpert", root, shares=written.SHARES, parameters={"finding": "Cardiomegaly"}
    ),
    "mura": lambda root: written.card("mura", root, shares=written.SHARES, parameters={"negatives": 0}),
    "nih": lambda root: written.card("nih", root, "box", shares=written.SHARES, parameters={"finding": "Cardiomegaly"}),
    "rsna": lambda root: written.card(
        "rsna", root, "box", shares=written.SHARES, parameters={"patients": "mapping.json"}
    ),
    "siim": lambda root: written.card("siim", root, shares=written.SHARES),
    "vindr": lambda root: test_vindr.card(root),
    "table of masks": lambda root: test_folder.masked(root),
    "table of boxes": lambda root: test_folder.boxed(root, shares=written.SHARES, columns={"split": None}),
    "table of readers": lambda root: test_folder.boxed(
        root, shares=written.SHARES, columns={"label": None, "split": None, "reader": "reader", "votes": 2}
    ),
    "table of findings": lambda root: test_folder.boxed(
        root, shares=written.SHARES, findings=("mass", "scar"), columns={"split": None, "separator": "|"}
    ),
    "coco boxes": lambda root: annotated(root, "coco", "box", "a.json"),
    "coco masks": lambda root: annotated(root, "coco", "mask", "a.json"),
    "voc": lambda root: annotated(root, "voc", "box", "xml"),
    "yolo": lambda root: annotated(root, "yolo", "box", "labels"),
}


@pytest.fixture(scope="module")
def files(request, tmp_path_factory):
    """A function from a name in CARDS to the folder of its files."""
    made = {}

    def of(name):
        if name not in made:
            if name in ("chexpert", "mura", "nih", "rsna", "siim", "vindr"):
                made[name] = request.getfixturevalue(name)
            else:
                made[name] = tmp_path_factory.mktemp("files")
                _write(name, made[name])
        return made[name]

    return of


def _write(name: str, root: Path) -> None:
    """Images and tables of the formats that are no published data set's."""
    for picture in "abcd":
        pixels = np.random.default_rng(ord(picture)).integers(0, 256, (20, 40), np.uint8)
        for place in (root, root / "images"):
            written.picture(place / f"{picture}.png", pixels)
    written.picture(root / "mask.png", written.boxed(20, 40, (3, 4, 9, 15)).astype(np.uint8) * 255)
    splits = ("a,0,train,", "b,1,train,mask.png", "c,1,val,mask.png", "d,0,test,")
    rows = [row.replace(",", ".png,", 1) for row in splits]
    if name == "table of masks":
        written.text(root / "t.csv", "image,label,split,mask", *rows)
    elif name == "table of boxes":
        written.text(
            root / "t.csv",
            "image,label,x,y,w,h",
            "a.png,1,2,3,10,5",
            "a.png,1,0,0,4.5,4",
            *(f"{n}.png,0,,,," for n in "bcd"),
        )
    elif name == "table of readers":
        written.text(root / "t.csv", *test_folder.READ.splitlines())
    elif name == "table of findings":
        rows = (
            "a.png,mass,0,0,2,2",
            "a.png,mass|scar,5,5,2,2",
            "b.png,none,,,,",
            "c.png,scar,0,0,2,2",
            "d.png,none,,,,",
        )
        written.text(root / "t.csv", "image,label,x,y,w,h", *rows)
    else:
        shutil.rmtree(root / "images")
        for picture in "abc":
            written.picture(root / "images" / f"{picture}.png", np.full((20, 40), 90, np.uint8))
        write = {"coco": test_coco.write_coco, "voc ": test_voc.write_voc, "yolo": test_yolo.write_yolo}
        write[f"{name:4}"[:4]](root)


@contextmanager
def linked(root: Path):
    """A folder of links to the files under another one, gone after the block."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        shutil.copytree(root, folder / "data", copy_function=os.link)
        yield folder / "data"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def listed(root: Path) -> list[str]:
    """All files and folders under a root."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def loaded(card: Card) -> dict[str, object]:
    """The records of a card, and every split that has some."""
    records = LOADERS[card.loader].records(card)
    there = {record.split for record in records}
    return {split: LOADERS[card.loader].load(card, split, None, SIDE, 0) for split in SPLITS if split in there}


@pytest.mark.parametrize("name", CARDS)
@guard.fuzzed(10)
@given(data=st.data())
def test_a_changed_file_is_read_or_refused(files, name, data):
    root = files(name)
    chosen = data.draw(st.sampled_from([path for path in listed(root) if (root / path).is_file()]))
    changes = data.draw(edits(chosen))
    with linked(root) as folder:
        new = applied((root / chosen).read_bytes(), changes)
        (folder / chosen).unlink()
        (folder / chosen).write_bytes(new)
        before = listed(folder)
        splits = guard.attempt(lambda: loaded(CARDS[name](folder)))
        if isinstance(splits, SaltrustError):
            guard.attempt(lambda: check(CARDS[name](folder)))  # which lists what is wrong
        assert listed(folder) == before
    if isinstance(splits, SaltrustError):
        return
    ids = [name for split in splits.values() for name in split.ids]
    assert len(set(ids)) == len(ids)
    for split in splits.values():
        if split.truth is not None:
            np.testing.assert_array_equal(split.truth.any(axis=(1, 2)), split.present)


# --- what is drawn comes out ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """An image (side, side) uint8 and boxes in it, x0, y0, x1, y1 at whole pixels."""

    pixels: np.ndarray
    boxes: tuple[tuple[int, int, int, int], ...]

    @property
    def truth(self) -> np.ndarray:
        return written.boxed(*self.pixels.shape, *self.boxes)


@st.composite
def scenes(draw) -> list[Drawn]:
    """Three to five images of one size, with up to three boxes each."""
    side = draw(st.integers(2, 40))
    edge = st.tuples(st.integers(0, side - 1), st.integers(1, side)).map(lambda two: (min(two[0], two[1] - 1), two[1]))
    box = st.tuples(edge, edge).map(lambda two: (two[0][0], two[1][0], two[0][1], two[1][1]))
    boxes = draw(st.lists(st.lists(box, max_size=3, unique=True).map(tuple), min_size=3, max_size=5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return [Drawn(rng.integers(0, 256, (side, side), np.uint8), some) for some in boxes]


def _masks(root, scene):
    for n, one in enumerate(scene):
        written.picture(root / f"m{n}.png", one.truth.astype(np.uint8) * 255)
    rows = [f"{n}.png,{int(bool(one.boxes))},{f'm{n}.png' if one.boxes else ''}" for n, one in enumerate(scene)]
    written.text(root / "t.csv", "image,label,mask", *rows)
    return test_folder.masked(root, shares=written.SHARES, columns={"split": None})


def _boxes(root, scene):
    rows = []
    for n, one in enumerate(scene):
        rows += [f"{n}.png,1,{x0},{y0},{x1 - x0},{y1 - y0}" for x0, y0, x1, y1 in one.boxes]
        rows += [] if one.boxes else [f"{n}.png,0,,,,"]
    written.text(root / "t.csv", "image,label,x,y,w,h", *rows)
    return test_folder.boxed(root, shares=written.SHARES, columns={"split": None})


def _coco(segmentation):
    """A writer of annotations whose segmentation that function makes, of the side of an image and a box."""

    def write(root, scene):
        side = len(scene[0].pixels)
        content = {
            "images": [{"id": n, "file_name": f"{n}.png", "width": side, "height": side} for n in range(len(scene))],
            "categories": [{"id": 1, "name": "lesion"}],
            "annotations": [
                {"image_id": n, "category_id": 1, "segmentation": segmentation(side, box)}
                for n, one in enumerate(scene)
                for box in one.boxes
            ],
        }
        written.text(root / "a.json", json.dumps(content))
        return annotated(root, "coco", "mask", "a.json", ".")

    return write


def _polygon(side, box):
    x0, y0, x1, y1 = box
    return [[x0, y0, x1, y0, x1, y1, x0, y1]]


def _compressed(side, box):
    code = coco_codes.encode(np.asfortranarray(written.boxed(side, side, box).astype(np.uint8)))
    return {"size": [side, side], "counts": code["counts"].decode()}


def _runs(side, box):
    flat = np.r_[False, written.boxed(side, side, box).T.ravel()]
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return {"size": [side, side], "counts": np.diff(np.r_[0, changes, side * side]).tolist()}


def _voc(root, scene):
    for n, one in enumerate(scene):
        objects = "".join(
            f"<object><name>lesion</name><bndbox><xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin><xmax>{x1}</xmax>"
            f"<ymax>{y1}</ymax></bndbox></object>"
            for x0, y0, x1, y1 in one.boxes
        )
        written.text(root / "xml" / f"{n}.xml", f"<annotation><filename>{n}.png</filename>{objects}</annotation>")
    return annotated(root, "voc", "box", "xml", ".")


def _yolo(root, scene):
    written.text(root / "labels" / "classes.txt", "lesion")
    for n, one in enumerate(scene):
        side = len(one.pixels)
        lines = [
            f"0 {(x0 + x1) / 2 / side!r} {(y0 + y1) / 2 / side!r} {(x1 - x0) / side!r} {(y1 - y0) / side!r}"
            for x0, y0, x1, y1 in one.boxes
        ]
        written.text(root / "labels" / f"{n}.txt", *lines)
    return annotated(root, "yolo", "box", "labels", ".")


WRITERS = {
    "table of masks": _masks,
    "table of boxes": _boxes,
    "coco polygons": _coco(_polygon),
    "coco compressed": _coco(_compressed),
    "coco runs": _coco(_runs),
    "voc": _voc,
    "yolo": _yolo,
}


@pytest.mark.parametrize("name", WRITERS)
@guard.fuzzed(8)
@given(scene=scenes())
def test_what_is_drawn_is_the_truth(name, scene):
    side = len(scene[0].pixels)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        root = Path(folder)
        for n, one in enumerate(scene):
            written.picture(root / f"{n}.png", one.pixels)
        card = WRITERS[name](root, scene)
        records = guard.attempt(lambda: LOADERS["folder"].records(card))
        assert not isinstance(records, SaltrustError), records
        truths = [np.any([np.zeros((side, side), bool), *(s.drawn(side, side) for s in r.truth)], 0) for r in records]
        pixels = [images.read(record.file) for record in records]
    assert sorted(record.id for record in records) == [f"{n}.png" for n in range(len(scene))]
    for record, truth, read in zip(records, truths, pixels, strict=True):
        one = scene[int(record.id.removesuffix(".png"))]
        np.testing.assert_array_equal(truth, one.truth)
        np.testing.assert_array_equal(read, one.pixels)
        assert record.label == bool(one.boxes)
