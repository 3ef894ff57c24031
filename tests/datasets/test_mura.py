"""MURA: labels of studies in folders and tables without headers, regions as the VGG Image Annotator writes them."""

import numpy as np
import pytest

from saltrust.core.errors import SaltrustError
from saltrust.datasets.loaders import LOADERS
from saltrust.datasets.shapes import Box
from tests.datasets import written

ABNORMAL = "MURA-v1.1/valid/XR_WRIST/patient11185/study1_positive/"
NORMAL = "MURA-v1.1/valid/XR_ELBOW/patient11185/study1_negative/"
UNREAD = "MURA-v1.1/train/XR_WRIST/patient00001/study2_positive/"
CLEAR = "MURA-v1.1/train/XR_HAND/patient00002/study1_negative/"
IMAGES = {ABNORMAL: 3, NORMAL: 2, UNREAD: 1, CLEAR: 1}
AGREED, APART, POLYGON = (f"{ABNORMAL}image{n}.png" for n in (1, 2, 3))
VIA = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"


def rect(image, x, y, width, height, count=1, number=0):
    shape = f'{{""name"":""rect"",""x"":{x},""y"":{y},""width"":{width},""height"":{height}}}'
    return f'valid_WRIST_p11185_s1_image{image}.png,47585,{{}},{count},{number},"{shape}","{{""Label"":""fx\\n""}}"'


def polygon(image, xs, ys):
    shape = f'{{""name"":""polygon"",""all_points_x"":{xs},""all_points_y"":{ys}}}'
    return f'valid_WRIST_p11185_s1_image{image}.png,131637,{{}},1,0,"{shape}",{{}}'


def seen(image):
    return f'valid_WRIST_p11185_s1_image{image}.png,44394,"{{""Label"":""normal""}}",0,0,{{}},{{}}'


READERS = {
    "rad1": (
        rect(1, 10, 20, 30, 40, 2, 0),
        rect(1, 80, 80, 5, 5, 2, 1),
        rect(2, 0, 0, 10, 10),
        rect(3, 10, 10, 60, 60),
    ),
    "rad2": (rect(1, 25, 30, 50, 20), rect(2, 50, 50, 10, 10), polygon(3, [0, 50, 0], [0, 0, 50])),
    "rad3": (seen(1), seen(2), seen(3)),
}


def records(root, **parameters):
    card = written.card("mura", root, shares=written.SHARES, parameters={"negatives": 0} | parameters)
    return written.by_id(card)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """An abnormal study of three images that all readers saw, one that nobody read, and two normal ones."""
    root = tmp_path_factory.mktemp("mura")
    for part in ("train", "valid"):
        of = [study for study in IMAGES if f"/{part}/" in study]
        paths = [f"{study}image{n}.png" for study in of for n in range(1, IMAGES[study] + 1)]
        written.text(root / f"MURA-v1.1/{part}_image_paths.csv", *paths, end="\r\n")
        labels = [f"{study},{int('positive' in study)}" for study in of]
        written.text(root / f"MURA-v1.1/{part}_labeled_studies.csv", *labels, end="\r\n")
        for path in paths:
            written.picture(root / path, np.full((120, 100), 90, np.uint8))
    for reader, lines in READERS.items():
        written.text(root / f"{reader}_annotations.csv", VIA, *lines)
    return root


def test_what_two_readers_marked_and_the_normal_studies(root):
    found = records(root)
    assert {path: r.label for path, r in found.items()} == {
        AGREED: 1,
        POLYGON: 1,
        **{f"{NORMAL}image{n}.png": 0 for n in (1, 2)},
        f"{CLEAR}image1.png": 0,
    }
    assert found[AGREED].truth == (Box(25, 30, 40, 50),)
    x, y = np.meshgrid(np.arange(100) + 0.5, np.arange(120) + 0.5)
    expected = (x >= 10) & (y >= 10) & (x + y < 50)
    differs = written.drawn(found[POLYGON], 120, 100) != expected
    assert not differs[np.abs(x + y - 50) > 1].any()
    assert differs.sum() <= 40


def test_each_reader_is_kept_apart(root):
    found = records(root)
    assert found[AGREED].readers == {
        "rad1": (Box(10, 20, 40, 60), Box(80, 80, 85, 85)),
        "rad2": (Box(25, 30, 75, 50),),
        "rad3": (),
    }
    assert found[f"{CLEAR}image1.png"].readers == {}


def test_what_is_loaded(root):
    card = written.card("mura", root, shares=written.SHARES, parameters={"regions": ["WRIST"], "negatives": 0})
    split = LOADERS["mura"].load(card, records(root, regions=["WRIST"])[POLYGON].split, None, 50, 0)
    shares = dict(zip(split.ids.tolist(), split.truth.mean(axis=(1, 2)).tolist(), strict=True))
    assert shares[POLYGON] == pytest.approx(30 * 30 / 2 / (100 * 120), rel=0.1)


def test_a_patient_is_the_same_in_all_parts_of_the_body(root):
    found = records(root)
    assert found[AGREED].group == found[f"{NORMAL}image1.png"].group == "patient11185"
    assert found[AGREED].split == found[f"{NORMAL}image1.png"].split


def test_any_reader_or_all_three(root):
    assert {APART, AGREED, POLYGON} < set(records(root, votes=1))
    assert not any(r.label for r in records(root, votes=3).values())


def test_one_part_of_the_body(root):
    assert set(records(root, regions=["WRIST"])) == {AGREED, POLYGON}


def test_as_many_normal_images_as_the_card_wants(root):
    assert sum(1 - r.label for r in records(root, negatives=1).values()) == 2


def test_images_that_not_every_reader_saw_are_not_used(root):
    written.text(root / "rad3_annotations.csv", VIA, seen(2), seen(3))
    assert AGREED not in records(root)


def test_counts_as_published(root):
    assert records(root, published={"1.1": {"images": 7, "studies": 4, "patients": 3}})
    with pytest.raises(SaltrustError, match="7 images, 4 studies, 3 patients, but .* 1.1: 40005 images"):
        records(root, published={"1.1": {"images": 40005}})


def change(name, old, new):
    return lambda root: written.replace(root / name, old, new)


def labels(old, new):
    return change("MURA-v1.1/valid_labeled_studies.csv", old, new)


def paths(old, new):
    return change("MURA-v1.1/valid_image_paths.csv", old, new)


def reader(old, new):
    return change("rad1_annotations.csv", old, new)


def both(root):
    other = ABNORMAL.replace("positive", "negative")
    labels(f"{NORMAL},0", f"{other},0")(root)
    paths(f"{NORMAL}image1.png", f"{other}image1.png")(root)


def normal_marked(root):
    for name in READERS:
        written.replace(
            root / f"{name}_annotations.csv", "valid_WRIST_p11185_s1_image1", "valid_ELBOW_p11185_s1_image1"
        )


BAD = {
    "no paths": ({"tables": "MURA-v1.0"}, None, "no file .*MURA-v1.0/train_labeled_studies.csv"),
    "no readers": ({"readers": {"rad4": "rad4.csv"}}, None, "no file .*rad4.csv"),
    "label against folder": (
        {},
        labels(f"{ABNORMAL},1", f"{ABNORMAL},0"),
        "line 1: .*study1_positive/ is labelled '0'",
    ),
    "no study": ({}, labels(ABNORMAL, "MURA-v1.1/valid/11185/"), "line 1: .* is not a study"),
    "both labels": ({}, both, "valid/XR_WRIST/patient11185/study1 has both labels"),
    "no image": ({}, paths("image2.png", "scan.png"), "line 2: .* is not an image of a study"),
    "an image of no study": (
        {},
        paths(f"{NORMAL}image1", f"{NORMAL.replace('1_n', '7_n')}image1"),
        "line 4: the study",
    ),
    "an image twice": ({}, paths(f"{NORMAL}image2", f"{NORMAL}image1"), "two images are called .*study1_negative"),
    "no file": ({}, lambda root: (root / AGREED).unlink(), "1 of 5 images are not on this machine"),
    "no regions": ({}, reader("region_shape_attributes", "shape"), "no column 'region_shape_attributes'"),
    "another shape": ({}, reader('""rect""', '""circle""'), "line 2: unknown shape of a region 'circle'"),
    "no JSON": ({}, reader('{""name"":""rect"",""x"":0', '[""rect"",""x"":0'), "line 4: not a region as VIA writes it"),
    "no width": ({}, reader('""width"":10', '""w"":10'), "line 4: not a region as VIA writes it"),
    "a negative width": ({}, reader('""width"":10', '""width"":-10'), "line 4: .*must not be negative"),
    "a region in a normal study": ({}, normal_marked, "2 readers agree on a region in an image of a normal study"),
    "half a vote": ({"votes": 0.5}, None, "parameters.votes"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_named(root, case):
    parameters, spoil, message = BAD[case]
    if spoil:
        spoil(root)
    with pytest.raises(SaltrustError, match=message):
        records(root, **parameters)
