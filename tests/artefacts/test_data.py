"""Images in the store: what several readers drew, several findings and labels alone come back exactly."""

import numpy as np
import pytest
from PIL import Image

from saltrust.artefacts.data import ImageSet, ShiftedImages
from saltrust.artefacts.store import Store
from saltrust.datasets.loaders import LOADERS
from tests.datasets import written

ROWS = """image,label,reader,x,y,w,h,mass,scar
a.png,mass|scar,r1,0,0,8,8,1,1
a.png,mass|scar,r2,2,0,9,8,1,1
b.png,scar,r1,5,5,4,4,0,1
b.png,scar,r2,5,5,4,4,0,1
c.png,none,r1,,,,,0,0
d.png,none,r1,,,,,0,0
e.png,none,r1,,,,,0,0"""
EDGES = {"x": "x", "y": "y", "width": "w", "height": "h"}
SPLITS = {"d": "train", "e": "val"}
KINDS = {
    "one finding": ("box", EDGES | {"label": "label", "separator": "|", "positive": ["mass"]}, {}),
    "readers": ("box", EDGES | {"reader": "reader", "votes": 2}, {}),
    "readers and findings": (
        "box",
        EDGES | {"label": "label", "separator": "|", "reader": "reader"},
        {"findings": ["mass", "scar"]},
    ),
    "labels alone": ("none", {}, {"findings": ["mass", "scar"]}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_split_comes_back_from_the_store(tmp_path, kind):
    truth, columns, fields = KINDS[kind]
    for name in "abcde":
        Image.new("L", (20, 20)).save(tmp_path / f"{name}.png")
    table = {"file": "t.csv", "image": "image", "split": "split"} | columns
    header, *rows = ROWS.splitlines()
    written.text(tmp_path / "t.csv", f"{header},split", *(f"{row},{SPLITS.get(row[0], 'test')}" for row in rows))
    card = written.card("folder", tmp_path, truth, table=table, **fields)
    images = ImageSet(card, LOADERS["folder"].fingerprint(card), "test", 3, 12, 0)
    made = Store(tmp_path / "store").get(images).arrays()
    read = Store(tmp_path / "store").get(images).arrays()
    assert {name.partition(".")[0] for name in made} >= {name for name in ("findings", "readers") if name in kind}
    assert list(made) == list(read)
    for name, array in made.items():
        np.testing.assert_array_equal(read[name], array, strict=True)


def test_images_after_a_shift_keep_their_findings_and_come_back_from_the_store(tmp_path):
    from saltrust.core import data_cards
    from saltrust.datasets.shifts import shifted

    store, card = Store(tmp_path), data_cards.load("phantom-chest5")
    whole = ImageSet(card, LOADERS[card.loader].fingerprint(card), "test", 6, 32, 0)
    some = ShiftedImages(whole, 4, "noise", 0.06, seed=2)
    store.get(some)
    found, split = Store(tmp_path).get(some), store.get(whole)
    np.testing.assert_array_equal(found.pixels, shifted(split.pixels[:4], "noise", 0.06, 2))
    np.testing.assert_array_equal(found.findings.present, split.findings.present[:4])
    assert found.ids.tolist() == split.ids[:4].tolist()
    assert found.truth is None
