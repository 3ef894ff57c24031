"""From records to a split: images, labels and truth belong together; what contradicts itself is refused."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from saltrust.core import data_cards
from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError
from saltrust.datasets import files, loading
from saltrust.datasets.loaders import LOADERS
from saltrust.datasets.records import Record
from saltrust.datasets.shapes import Box, MaskFile

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


def card(root, truth="box", **fields):
    """A card of files under the root; its table is never read here."""
    edges = {name: name for name in ("x", "y", "width", "height")}
    columns = {"mask": "mask"} if truth == "mask" else edges
    return Card(
        name="made-up",
        finding="square",
        truth=truth,
        get={"root": str(root), "source": "nowhere"},
        table={"file": "t.csv", "image": "image"} | ({} if "shares" in fields else {"split": "split"}) | columns,
        **fields,
    )


@pytest.fixture
def records(tmp_path):
    """Eight images (20 x 20) in split test, every second with a bright square and its box."""
    found = []
    for i in range(8):
        pixels = np.zeros((20, 20), np.uint8)
        if i % 2:
            pixels[4:10, 2:12] = 200
        Image.fromarray(pixels).save(tmp_path / f"i{i}.png")
        truth = (Box(2, 4, 12, 10),) if i % 2 else ()
        found.append(Record(f"i{i}", tmp_path / f"i{i}.png", i % 2, "test", truth=truth))
    return found


def test_images_labels_and_truth_belong_together(records, tmp_path):
    split = loading.load(records, card(tmp_path), "test", None, 10, seed=0)
    expected = Box(1, 2, 6, 5).drawn(10, 10)
    np.testing.assert_array_equal(split.truth[1], expected)
    np.testing.assert_array_equal(split.pixels[1] > 100, expected)
    np.testing.assert_allclose(split.boxes, [[i, 1, 2, 6, 5] for i in (1, 3, 5, 7)])
    assert split.labels.tolist() == [0, 1] * 4
    assert split.ids.tolist() == [f"i{i}" for i in range(8)]
    assert not split.truth[::2].any()


def test_boxes_are_scaled_and_cut_and_those_outside_left_out(tmp_path):
    Image.new("L", (40, 20), 90).save(tmp_path / "a.png")
    Image.new("RGB", (40, 20), (1, 2, 3)).save(tmp_path / "b.png")
    boxes = (Box(4, 2, 12, 12), Box(36, 16, 46, 26), Box(50, 2, 60, 8), Box(20, 5, 20.5, 5.5), Box(7, 7, 7 + 1e-12, 9))
    two = [Record("a", tmp_path / "a.png", 1, "test", truth=boxes), Record("b", tmp_path / "b.png", 0, "test")]
    split = loading.load(two, card(tmp_path), "test", None, 20, seed=0)
    np.testing.assert_allclose(split.boxes, [[0, 2, 2, 6, 12], [0, 18, 16, 20, 20], [0, 10, 5, 10.25, 5.5]])
    assert split.truth[0].sum() == 4 * 10 + 2 * 4 + 1 + 0  # the thin one keeps a pixel; the thinnest lies in the first
    assert split.pixels.shape == (2, 20, 20, 3)  # one image has colour, so all have
    assert split.pixels[0, 0, 0].tolist() == [90] * 3


def test_severalmasks_of_an_image_join(tmp_path):
    Image.new("L", (20, 20)).save(tmp_path / "a.png")
    for name, box in (("m", Box(0, 0, 8, 8)), ("n", Box(16, 16, 17, 17))):
        Image.fromarray(box.drawn(20, 20)).save(tmp_path / f"{name}.png")
    truth = tuple(MaskFile(tmp_path / f"{name}.png") for name in "mn")
    one = [Record("a", tmp_path / "a.png", 1, "test", truth=truth)]
    found = loading.load(one, card(tmp_path, "mask"), "test", None, 10, seed=0)
    np.testing.assert_array_equal(found.truth[0], Box(0, 0, 4, 4).drawn(10, 10) | Box(8, 8, 9, 9).drawn(10, 10))
    assert found.boxes.shape == (0, 5)


def test_classes_without_an_absent_one(records, tmp_path):
    three = card(tmp_path, classes=("circle", "square"))
    marked = [record for record in records if record.truth]
    split = loading.load([*marked], three, "test", None, 10, seed=0)
    assert split.classes == ("circle", "square")
    assert split.absent is None
    assert split.present.all()


def test_draws_differ_with_the_seed(records, tmp_path):
    first, other = (loading.load(records, card(tmp_path), "test", 4, 20, seed=s) for s in (1, 2))
    assert first.labels.sum() == 2
    assert first.ids.tolist() != other.ids.tolist()


def test_a_split_has_truth_of_all_images_or_of_none(records, tmp_path):
    bare = [replace(record, truth=None) for record in records]
    split = loading.load(bare, card(tmp_path), "test", None, 20, seed=0)
    assert split.truth is None
    assert split.labels.tolist() == [record.label for record in records]
    message = "'made-up', split 'test': 1 of .* images have labels alone, the first is i0; a split has truth of all"
    with pytest.raises(SaltrustError, match=message):
        loading.load([bare[0], *records[1:]], card(tmp_path), "test", None, 20, seed=0)


def test_a_card_may_want_labels_alone_of_any_data(records, tmp_path):
    split = loading.load(records, card(tmp_path).model_copy(update={"truth": "none"}), "test", None, 20, seed=0)
    assert split.truth is None
    assert len(split.boxes) == 0


@pytest.mark.parametrize("name", ["phantom-pneumonia", "cells"])
def test_several_findings_of_generated_data_are_refused(name):
    several = data_cards.load(name).model_copy(update={"findings": ("a", "b")})
    with pytest.raises(
        SaltrustError, match=f"card '{name}': the loader '.*' knows one finding, not several 'findings'"
    ):
        LOADERS[several.loader].load(several, "test", 2, 32, 0)


def test_several_findings_of_a_loader_that_knows_one_are_refused(records, tmp_path):
    one = loading.loader(lambda card: records)
    with pytest.raises(SaltrustError, match="knows one finding, not several"):
        one.records(card(tmp_path).model_copy(update={"findings": ("a", "b")}))


def test_a_loader_deals_reads_and_tells_versions_apart(records, tmp_path):
    whole = loading.loader(lambda card: records)
    shared = card(tmp_path, shares=SHARES)
    found = whole.records(shared)
    assert {record.split for record in found} == set(SHARES)
    assert whole.load(shared, "train", None, 20, 0).ids.tolist() == [r.id for r in found if r.split == "train"]
    assert whole.records(card(tmp_path)) == records
    first = whole.fingerprint(shared)
    assert first == whole.fingerprint(shared)
    (tmp_path / "i0.png").write_bytes(b"another size")
    second = whole.fingerprint(shared)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "t.txt").write_text("0 0.5 0.5 0.5 0.5")
    third = whole.fingerprint(shared)
    (tmp_path / "sub" / "t.txt").write_text("0 0.5 0.5 0.5 0.6")  # of the same size: tables count with what they say
    assert len({first, second, third, whole.fingerprint(shared)}) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r[1].__dict__ | {"truth": ()}, "image i1: is labelled 1 but has no truth"),
        (lambda r: r[1].__dict__ | {"label": 0}, "image i1: has truth but is labelled 0"),
        (
            lambda r: r[1].__dict__ | {"truth": (Box(30, 30, 40, 40),)},
            "image i1: is labelled 1 but its truth covers none",
        ),
        (lambda r: r[1].__dict__ | {"file": r[1].file.with_name("gone.png")}, r"no image .*gone\.png"),
        (
            lambda r: r[1].__dict__ | {"truth": (MaskFile(r[1].file.with_name("no.png")),)},
            r"image i1: no image .*no\.png",
        ),
    ],
)
def test_records_that_contradict_themselves_are_refused(records, tmp_path, change, message):
    records[1] = Record(**change(records))
    with pytest.raises(SaltrustError, match=message):
        loading.load(records, card(tmp_path), "test", None, 20, seed=0)


def test_a_split_without_images_is_refused(records, tmp_path):
    with pytest.raises(SaltrustError, match="data set 'made-up': no image in split 'val'"):
        loading.load(records, card(tmp_path), "val", None, 20, seed=0)


def test_counts_that_differ_are_refused(records, tmp_path):
    counts = {split: {"images": 8, "positive": 4} for split in SHARES}
    message = "split 'train' has 0 images, 0 with square; the card counts 8 and 4; split 'val' has 0"
    with pytest.raises(SaltrustError, match=message):
        loading.check_counts(card(tmp_path, counts=counts), records)
    loading.check_counts(
        card(tmp_path, counts=counts), [Record(r.id + s, r.file, r.label, s) for r in records for s in SHARES]
    )


def test_what_a_loader_cannot_read_is_refused(records, tmp_path):
    one = loading.loader(lambda card: [records[0], records[0]])
    with pytest.raises(SaltrustError, match="data set 'made-up': two images are called i0"):
        one.records(card(tmp_path))
    absent = card(tmp_path / "nothing")
    for read in (one.records, one.fingerprint):
        with pytest.raises(
            SaltrustError, match=r"'made-up' is not on this machine: no folder .*nothing \(get it from no"
        ):
            read(absent)
    with pytest.raises(
        SaltrustError, match="card 'made-up': truth of files is 'mask', 'box' or 'none'; 'graded' is for"
    ):
        one.records(card(tmp_path).model_copy(update={"truth": "graded"}))
    with pytest.raises(SaltrustError, match="card 'made-up': needs 'get', where the files are"):
        one.records(card(tmp_path).model_copy(update={"get": None}))
    with pytest.raises(SaltrustError, match=r"'made-up' is not on this machine: no file .*t\.csv"):
        files.present(card(tmp_path), "t.csv")
    with pytest.raises(SaltrustError, match=r"card 'made-up': '\.\./t\.csv' leaves the data folder"):
        files.present(card(tmp_path), "../t.csv")
