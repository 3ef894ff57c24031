"""The folder loader: images, masks and boxes through a card alone; what is wrong with the files is named."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from saltrust.cards import Card
from saltrust.datasets import folder
from saltrust.errors import SaltrustError

BASE = {
    "title": "t",
    "summary": "s",
    "role": "r",
    "finding": "square",
    "modality": "drawing",
    "localizer": "unet",
    "licence": "CC0-1.0",
    "loader": "folder",
    "name": "made-up",
}
COLUMNS = {"file": "t.csv", "image": "image", "label": "label", "split": "split"}


@pytest.fixture
def masks(tmp_path):
    """20 x 20 images of which every second has a bright square, with a mask file."""
    rows = []
    for i in range(8):
        image, mask = np.zeros((2, 20, 20), np.uint8)
        if i % 2:
            image[4:10, 2:12] = 200
            mask[4:10, 2:12] = 255
            Image.fromarray(mask).save(tmp_path / f"m{i}.png")
        Image.fromarray(image).save(tmp_path / f"i{i}.png")
        rows.append({"image": f"i{i}.png", "label": i % 2, "mask": f"m{i}.png" if i % 2 else None, "split": "test"})
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    return Card(
        **BASE,
        truth="mask",
        get={"root": str(tmp_path), "source": "nowhere"},
        table=COLUMNS | {"mask": "mask"},
        counts={split: {"images": 8, "positive": 4} for split in ("train", "val", "test")},
    )


@pytest.fixture
def boxes(tmp_path):
    """A wide image (40 x 20) with two boxes in two rows, one of them reaching over the border; and one without."""
    Image.new("L", (40, 20), 90).save(tmp_path / "a.png")
    Image.new("RGB", (40, 20), (1, 2, 3)).save(tmp_path / "b.png")
    table = pd.DataFrame(
        [("a.png", 1, 4, 2, 8, 10, "test"), ("a.png", 1, 36, 16, 10, 10, "test"), ("b.png", 0, *[None] * 4, "test")],
        columns=["image", "label", "x", "y", "w", "h", "split"],
    )
    table.to_csv(tmp_path / "t.csv", index=False)
    return Card(
        **BASE,
        truth="box",
        get={"root": str(tmp_path), "source": "nowhere"},
        table=COLUMNS | {"x": "x", "y": "y", "width": "w", "height": "h"},
        counts={split: {"images": 2, "positive": 1} for split in ("train", "val", "test")},
    )


def test_masks_and_labels_belong_together(masks):
    split = folder.load(masks, "test", None, 20, seed=0)
    assert split.pixels.shape == (8, 20, 20)
    assert split.labels.tolist() == [0, 1] * 4
    expected = np.zeros((20, 20), bool)
    expected[4:10, 2:12] = True
    np.testing.assert_array_equal(split.truth[1], expected)
    np.testing.assert_array_equal(split.pixels[1] == 200, expected)
    assert not split.truth[0].any()
    assert split.boxes.shape == (0, 5)


def test_resizing_moves_image_and_mask_alike(masks):
    small = folder.load(masks, "test", None, 10, seed=0)
    expected = np.zeros((10, 10), bool)
    expected[2:5, 1:6] = True
    np.testing.assert_array_equal(small.truth[1], expected)
    np.testing.assert_array_equal(small.pixels[1] > 100, expected)


def test_a_draw_keeps_the_prevalence_and_depends_on_the_seed_alone(masks):
    first, again, other = (folder.load(masks, "test", 4, 20, seed=s) for s in (1, 1, 2))
    assert first.labels.sum() == 2
    assert first.ids.tolist() == again.ids.tolist()
    assert first.ids.tolist() != other.ids.tolist()


def test_boxes_are_scaled_cut_and_filled(boxes):
    split = folder.load(boxes, "test", None, 20, seed=0)
    np.testing.assert_allclose(split.boxes, [[0, 2, 2, 6, 12], [0, 18, 16, 20, 20]])
    assert split.truth[0].sum() == 4 * 10 + 2 * 4
    assert split.pixels.shape == (2, 20, 20, 3)  # one image has colour, so all have
    assert split.labels.tolist() == [1, 0]


def test_the_fingerprint_follows_the_files(masks, tmp_path):
    before = folder.fingerprint(masks)
    assert before == folder.fingerprint(masks)
    (tmp_path / "i0.png").write_bytes(b"another size")
    assert folder.fingerprint(masks) != before


def _change_table(tmp_path, change):
    table = pd.read_csv(tmp_path / "t.csv")
    change(table).to_csv(tmp_path / "t.csv", index=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="label"), "no column 'label'; columns: image, mask, split"),
        (lambda t: t.assign(split="train"), "column 'split' has no row 'test'"),
        (lambda t: t.assign(label=2), "column 'label' must be 0 or 1"),
        (lambda t: t.iloc[:-1], "split 'test' has 7 images, the card counts 8"),
        (lambda t: t.assign(image=t["image"].replace("i0.png", "gone.png")), r"no image .*gone\.png"),
        (lambda t: t.assign(mask=t["mask"].replace("m1.png", None)), r"image i1\.png has no truth"),
        (lambda t: t.assign(label=0), r"image i1\.png has truth but is labelled 0 \(4 such\)"),
    ],
)
def test_a_wrong_table_is_refused(masks, tmp_path, change, message):
    _change_table(tmp_path, change)
    with pytest.raises(SaltrustError, match=message):
        folder.load(masks, "test", None, 20, seed=0)


def test_wrong_files_are_refused(masks, tmp_path):
    Image.new("L", (5, 5), 255).save(tmp_path / "m1.png")
    with pytest.raises(SaltrustError, match=r"m1\.png: mask is \(5, 5\), its image is \(20, 20\)"):
        folder.load(masks, "test", None, 20, seed=0)
    (tmp_path / "i0.png").write_bytes(b"no image")
    with pytest.raises(SaltrustError, match=r"i0\.png: cannot be read as an image"):
        folder.load(masks, "test", None, 20, seed=0)
    Image.fromarray(np.zeros((20, 20), np.uint16)).save(tmp_path / "i0.png")
    with pytest.raises(SaltrustError, match=r"i0\.png: pixels of mode 'I;16'"):
        folder.load(masks, "test", None, 20, seed=0)
    (tmp_path / "t.csv").unlink()
    with pytest.raises(
        SaltrustError, match=r"'made-up' is not on this machine: no file .*t\.csv \(get it from nowhere\)"
    ):
        folder.load(masks, "test", None, 20, seed=0)


def test_groups_are_read_from_the_table(masks, tmp_path):
    assert folder.groups(masks) is None
    table = pd.read_csv(tmp_path / "t.csv").assign(patient=[7, 7, 8, 8, 9, 9, 10, 10])
    table.to_csv(tmp_path / "t.csv", index=False)
    grouped = masks.model_copy(update={"table": masks.table.model_copy(update={"group": "patient"})})
    assert folder.groups(grouped) == {f"i{i}.png": str(7 + i // 2) for i in range(8)}
    wrong = masks.model_copy(update={"table": masks.table.model_copy(update={"group": "person"})})
    with pytest.raises(SaltrustError, match="no column 'person'; columns: image"):
        folder.groups(wrong)
