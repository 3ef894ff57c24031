"""A folder that simulated readers read: what they draw, the truth by their votes, and the outlines kept beside it."""

import numpy as np
import pytest

from saltrust.analysis.readers import Choices, agreement
from saltrust.core import data_cards, paths
from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import unpacked
from saltrust.datasets import folder
from saltrust.datasets.folder_with_readers import bright_places, lesions
from saltrust.datasets.loaders import LOADERS
from saltrust.datasets.reader_tables import Reading
from saltrust.datasets.shapes import MaskFile
from saltrust.datasets.simulated_readers import READERS, VOTES
from tests.datasets import written

TABLE = {"file": "t.csv", "image": "image", "label": "label", "mask": "mask", "split": "split", "group": "patient"}
NONE, ALL = [0.0] * 3, [1.0] * 3
STEADY = dict.fromkeys(("miss", "astray", "split", "merge", "spread", "shift"), NONE)
STEADY |= {"thorough": ALL, "grown": ALL, "margin": 0.0, "doubt": 0.0}
SPLITS = ("train", "val", "test")


@pytest.fixture
def root(tmp_path):
    """24 images of 48 x 40 pixels, eight for each split, of which every second has two lesions, one a triangle."""
    rows = []
    for i in range(24):
        image = np.full((40, 48), 20, np.uint8)
        image[:, 12:36] = 90  # bone
        mask = np.zeros((40, 48), np.uint8)
        if i % 2:
            mask[np.tri(12, dtype=bool).nonzero()[0] + 4, np.tri(12, dtype=bool).nonzero()[1] + 14] = 255
            mask[30:34, 20:28] = 255
            written.picture(tmp_path / f"m{i}.png", mask)
        written.picture(tmp_path / f"i{i}.png", image + mask // 4)
        rows.append(f"i{i}.png,{i % 2},{f'm{i}.png' if i % 2 else ''},{SPLITS[i // 8]},p{i // 2}")
    written.text(tmp_path / "t.csv", "image,label,mask,split,patient", *rows)
    return tmp_path


def card(root, parameters, **fields):
    return written.card("folder_with_readers", root, **{"table": TABLE, "parameters": parameters} | fields)


def read(root, parameters, **fields):
    return written.by_id(card(root, parameters, **fields))


def test_a_steady_hand_boxes_the_parts_of_a_mask(root):
    record = read(root, STEADY)["i1.png"]
    boxes = [[(box.x0, box.y0, box.x1, box.y1) for box in record.readers[name]] for name in READERS]
    assert boxes == [[(14, 4, 26, 16), (20, 30, 28, 34)]] * 3
    expected = written.boxed(40, 48, (14, 4, 26, 16), (20, 30, 28, 34))
    np.testing.assert_array_equal(written.drawn(record, 40, 48), expected)
    assert record.findings == {"finding": (MaskFile(root / "m1.png"),)}
    assert (record.label, record.split, record.group) == (1, "train", "p0")


def test_a_split_has_readers_their_truth_and_the_outline_beside_it(root):
    parameters = STEADY | {"spread": [0.3] * 3, "shift": [0.2] * 3}
    loader, of = LOADERS["folder_with_readers"], card(root, parameters)
    split = loader.load(of, "test", None, 20, 0)
    plain = folder.records(of)
    assert split.ids.tolist() == [record.id for record in plain if record.split == "test"]
    exact = unpacked(split.findings.bits, 20)
    masks = LOADERS["folder"].load(of.model_copy(update={"loader": "folder"}), "test", None, 20, 0).truth
    np.testing.assert_array_equal(exact[0], masks)
    assert split.findings.names == ("finding",)
    np.testing.assert_array_equal(split.findings.present[:, 0], split.labels == 1)
    drawn = np.stack([split.readers.drawn(name) for name in READERS])
    assert split.readers.read.all()
    assert not drawn[:, split.labels == 0].any()
    assert (drawn[0] != drawn[1]).any()
    # Votes were counted on the image on file, whose sides shrink to half, and less.
    assert ((drawn.sum(axis=0) >= VOTES) ^ split.truth).sum() < 0.1 * split.truth.sum()
    assert split.truth[split.labels == 1].any(axis=(1, 2)).all()


def test_images_in_which_no_two_readers_agree_are_left_out(root):
    overlooked = STEADY | {"miss": [0.9, 0.9, 0.0]}
    found = read(root, overlooked)
    records = {record.id: record for record in folder.records(card(root, overlooked))}
    left_out = set(records) - set(found)
    assert left_out
    assert all(records[name].label for name in left_out)
    for record in found.values():
        if record.label:
            assert sum(map(bool, record.readers.values())) >= VOTES


def test_readings_depend_on_the_image_and_the_seed_alone(root):
    loose = STEADY | {"spread": [0.3] * 3}
    first, again, other = (read(root, loose | {"seed": seed}) for seed in (0, 0, 1))
    assert first == again
    assert first["i1.png"].readers != other["i1.png"].readers
    assert first["i1.png"].readers != first["i3.png"].readers  # of the same picture
    lines = (root / "t.csv").read_text().splitlines()
    (root / "t.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    assert read(root, loose) == first


def test_whoever_is_mistaken_marks_bone(root):
    record = read(root, STEADY | {"astray": [0.25] * 3, "doubt": 0.5})
    boxes = [box for one in record.values() for own in one.readers.values() for box in own]
    wrong = [box for box in boxes if (box.x0, box.y0) not in ((14, 4), (20, 30))]
    assert wrong
    assert all(12 <= (box.x0 + box.x1) / 2 <= 36 for box in wrong)


def test_lesions_are_parts_that_hang_together_the_largest_first():
    mask = written.boxed(20, 30, (2, 3, 5, 6), (10, 10, 20, 18))
    mask[6, 5] = True  # at the corner of the first
    np.testing.assert_array_equal(lesions(mask), [(10, 10, 20, 18), (2, 3, 6, 7)])
    assert lesions(np.zeros((4, 4), bool)).shape == (0, 4)


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (40, 40), (64, 32, 3)])
def test_there_is_a_bright_place_in_every_image(shape):
    rng = np.random.default_rng(0)
    for pixels in (np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8), rng.integers(0, 256, shape, np.uint8)):
        places = bright_places(pixels)
        assert len(places) >= 1
        assert ((places > 0) & (places < (shape[1], shape[0]))).all()


@pytest.mark.parametrize(
    ("parameters", "fields", "message"),
    [
        ({"missed": NONE}, {}, "unknown readers parameter 'missed'; did you mean 'miss'"),
        ({"miss": 0.1}, {}, "readers: miss: "),
        ({"doubt": 0.6}, {}, "readers: doubt must lie between 0 and 0.5, not 0.6"),
        ({"seed": -1}, {}, "readers: seed must not be negative, not -1"),
        ({"seed": 0.5}, {}, "readers: seed: "),
        ({"spread": [0.1, 0.1, 2.0]}, {}, "readers: spread of reader3 must lie between 0 and 1, not 2.0"),
        ({}, {"classes": ("a", "b")}, "the loader 'folder_with_readers' reads images of a 'table' with truth 'mask'"),
        ({}, {"table": TABLE | {"reader": "patient"}}, "no 'reader'"),
        ({}, {"findings": ("a", "b")}, "the loader 'folder_with_readers' knows one finding"),
        ({}, {"truth": "none", "localizer": None}, "with truth 'mask'"),
    ],
)
def test_what_cannot_be_read_is_refused(root, parameters, fields, message):
    with pytest.raises(SaltrustError, match=message):
        read(root, parameters, **fields)


def test_an_empty_mask_is_named(root):
    written.picture(root / "m3.png", np.zeros((40, 48), np.uint8))
    with pytest.raises(SaltrustError, match=r"image i3.png: is labelled with finding, and its mask is empty"):
        read(root, STEADY)


def test_a_label_without_a_mask_is_named(root):
    written.replace(root / "t.csv", "i3.png,1,m3.png", "i3.png,1,")
    with pytest.raises(SaltrustError, match=r"image i3.png: is labelled with finding, and has no mask"):
        read(root, STEADY)


@pytest.fixture(scope="module")
def fracatlas(tmp_path_factory):
    """The project's card, its archive unpacked into a folder of this module."""
    card = data_cards.load("fracatlas")
    archive = str(paths.CARDS / card.get.archives[0].url)
    root = str(tmp_path_factory.mktemp("data") / "tiles")
    return card.model_copy(
        update={"get": card.get.model_copy(update={
            "root": root, "archives": (card.get.archives[0].model_copy(update={"url": archive}),),
        })}
    )  # fmt: skip


def test_the_project_s_tiles_are_read_as_radiologists_read_theirs(fracatlas):
    """By the numbers of the paper's three radiologists, worked out from their tables."""
    LOADERS[fracatlas.loader].fingerprint(fracatlas)  # unpacks
    found = {r.id: r for r in LOADERS[fracatlas.loader].records(fracatlas) if r.label}
    plain = [record for record in folder.records(fracatlas) if record.label]
    assert 1 - len(found) / len(plain) == pytest.approx(50 / 638, abs=0.03)
    some = dict(sorted(found.items())[::2])
    reading = Reading({name: {k: r.readers[name] for k, r in some.items()} for name in READERS}, {}, ())
    table = agreement(reading, Choices(n_boot=10)).table
    iou = table[table["score"] == "iou"].set_index(["reference", "rater"])["mean"]
    assert iou["consensus", "average reader"] == pytest.approx(0.613, abs=0.03)
    assert iou["pairwise", "average reader"] == pytest.approx(0.388, abs=0.03)
    for name, own in zip(READERS, (0.704, 0.539, 0.595), strict=True):
        assert iou["consensus", name] == pytest.approx(own, abs=0.05)
    empty = [np.mean([not r.readers[name] for r in found.values()]) for name in READERS]
    np.testing.assert_allclose(empty, (4 / 588, 109 / 588, 0), atol=0.05)


def test_the_project_s_tiles_have_the_consensus_for_truth_and_the_outline_beside_it(fracatlas):
    split = LOADERS[fracatlas.loader].load(fracatlas, "test", None, 128, 0)
    present = split.labels == 1
    assert (len(split), present.sum()) == (273, 96)
    outline = unpacked(split.findings.bits, 128)[0]
    np.testing.assert_array_equal(outline.any(axis=(1, 2)), present)
    np.testing.assert_array_equal(split.truth.any(axis=(1, 2)), present)
    assert (outline & split.truth)[present].any(axis=(1, 2)).mean() > 0.85
    assert "simulated" in fracatlas.title
    assert "simulated" in fracatlas.summary
    tiles = data_cards.load("fracatlas-tiles")
    assert (tiles.get.root, tiles.get.archives) == (
        data_cards.load("fracatlas").get.root,
        data_cards.load("fracatlas").get.archives,
    )
