"""CheXpert and CheXlocalize: patients in paths, names that differ, outlines as masks and as polygons."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco

from saltrust.core import data_cards
from saltrust.core.card_parts import Count
from saltrust.core.errors import SaltrustError
from saltrust.datasets.loaders import LOADERS
from tests.datasets import written

COLUMNS = "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Lung Opacity,Cardiomegaly,Pleural Effusion"
HEIGHT, WIDTH = 60, 90
HEART = written.boxed(HEIGHT, WIDTH, (20, 30, 60, 50))
OPACITY = written.boxed(HEIGHT, WIDTH, (5, 10, 15, 30), (60, 5, 80, 40))
NONE = np.zeros((HEIGHT, WIDTH), dtype=bool)
MARKED, LATERAL, CLEAR, TESTED, UNDRAWN = (
    "patient64541_study1_view1_frontal",
    "patient64541_study1_view2_lateral",
    "patient64542_study1_view1_frontal",
    "patient64741_study1_view1_frontal",
    "patient64742_study2_view1_frontal",
)


def encoded(mask):
    code = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(code["size"]), "counts": code["counts"].decode()}


def records(root, finding="Cardiomegaly", **parameters):
    card = written.card("chexpert", root, shares=written.SHARES, parameters={"finding": finding} | parameters)
    return written.by_id(card)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Two images and a lateral one of two patients in `val`, two of two in `test`, whose table has fewer columns."""
    root = tmp_path_factory.mktemp("chexpert")
    written.text(
        root / "CheXpert/val_labels.csv",
        COLUMNS,
        "CheXpert-v1.0/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,0.0,1.0,1.0,0.0",
        "CheXpert-v1.0/valid/patient64541/study1/view2_lateral.jpg,Male,73,Lateral,,0.0,1.0,1.0,0.0",
        "CheXpert-v1.0/valid/patient64542/study1/view1_frontal.jpg,Male,70,Frontal,PA,0.0,0.0,0.0,",
    )
    written.text(
        root / "CheXpert/test_labels.csv",
        "Path,Cardiomegaly,Lung Opacity,Pleural Effusion",
        "test/patient64741/study1/view1_frontal.jpg,1.0,0.0,-1.0",
        "test/patient64742/study2/view1_frontal.jpg,1.0,0.0,1.0",
    )
    val = {
        MARKED: {
            "Cardiomegaly": encoded(HEART),
            "Airspace Opacity": encoded(OPACITY),
            "Pleural Effusion": encoded(NONE),
        },
        LATERAL: {"Cardiomegaly": encoded(HEART.T)},
    }
    test = {TESTED: {"Cardiomegaly": encoded(OPACITY)}, UNDRAWN: {"Cardiomegaly": encoded(NONE)}}
    for name, outlines in (("val", val), ("test", test)):
        written.text(root / f"CheXlocalize/gt_segmentations_{name}.json", json.dumps(outlines))
    for name, images in (("val", (MARKED, LATERAL, CLEAR)), ("test", (TESTED, UNDRAWN))):
        for image in images:
            shape = (WIDTH, HEIGHT) if image == LATERAL else (HEIGHT, WIDTH)
            file = root / "CheXpert" / name / (image.replace("_", "/", 2) + ".jpg")
            written.picture(file, np.full(shape, 90, np.uint8))
    return root


def test_masks_labels_and_patients(root):
    found = records(root)
    assert {image: (r.label, r.group) for image, r in found.items()} == {
        MARKED: (1, "patient64541"),
        CLEAR: (0, "patient64542"),
        TESTED: (1, "patient64741"),
    }
    np.testing.assert_array_equal(written.drawn(found[MARKED], HEIGHT, WIDTH), HEART)
    assert found[MARKED].file.is_file()


def test_what_is_loaded(root):
    card = written.card("chexpert", root, parameters={"finding": "Cardiomegaly"})
    split = LOADERS["chexpert"].load(card, "val", None, 30, 0)
    assert split.labels.tolist() == [1, 0]
    np.testing.assert_array_equal(split.truth[0], written.boxed(30, 30, (7, 15, 20, 25)))  # 90 to 30, 60 to 30 pixels


def test_a_finding_may_have_another_name_in_the_outlines(root):
    found = records(root, "Lung Opacity")
    np.testing.assert_array_equal(written.drawn(found[MARKED], HEIGHT, WIDTH), OPACITY)
    assert found[TESTED].label == 0


def test_lateral_views_only_if_asked_for(root):
    assert LATERAL in records(root, views=["frontal", "lateral"])
    assert set(records(root, views=["lateral"])) == {LATERAL}


@pytest.mark.parametrize(
    ("uncertain", "label"), [("left out", None), ("zeros", 0), ("ones", None)], ids=lambda value: str(value)
)
def test_an_uncertain_label(root, uncertain, label):
    """-1 of the test image; as 1 it lacks an outline and is not used either. Blank is 0."""
    found = records(root, "Pleural Effusion", uncertain=uncertain)
    assert (found[TESTED].label if TESTED in found else None) == label
    assert found[CLEAR].label == 0


def test_polygons_in_the_place_of_masks(root):
    corners = [[[20.0, 30.0], [60.0, 30.0], [60.0, 50.0], [20.0, 50.0]]]
    outlines = {MARKED: {"img_size": [HEIGHT, WIDTH], "Cardiomegaly": corners}}
    written.text(root / "CheXlocalize/gt_annotations_val.json", json.dumps(outlines))
    parts = {"val": part("val", outlines="CheXlocalize/gt_annotations_val.json")}
    found = records(root, parts=parts)
    np.testing.assert_array_equal(written.drawn(found[MARKED], HEIGHT, WIDTH), HEART)
    written.replace(root / "CheXlocalize/gt_annotations_val.json", f"[{HEIGHT}, {WIDTH}]", "[1200, 1800]")
    with pytest.raises(SaltrustError, match="has 90 x 60 pixels, but the truth of 'made-up' was drawn on 1800 x 1200"):
        records(root, parts=parts)


def test_without_shares_a_part_is_a_split(root):
    card = written.card("chexpert", root, parameters={"finding": "Cardiomegaly"})
    assert {r.id: r.split for r in LOADERS["chexpert"].records(card)} == {MARKED: "val", CLEAR: "val", TESTED: "test"}


def test_against_torchxrayvision(root):
    """Labels agree where a report mentions the finding; its mask of an oblong image is stretched to a square."""
    theirs = written.torchxrayvision()
    other = theirs.CheXlocalize_Dataset(
        str(root / "CheXpert"),
        str(root / "CheXpert/val_labels.csv"),
        unique_patients=False,
        segmentation_jsonpath=str(root / "CheXlocalize/gt_segmentations_val.json"),
    )
    found, finding = records(root), other.pathologies.index("Cardiomegaly")
    ids = [f"patient{patient}_study1_view1_frontal" for patient in other.csv.patientid]
    assert ids == [MARKED, CLEAR]
    assert other.labels[:, finding].tolist() == [found[image].label for image in ids]
    assert np.isnan(other.labels[1, other.pathologies.index("Effusion")])  # blank, which counts as absent here
    mask = other[0]["pathology_masks"][finding][0] > 0
    assert mask.shape == (WIDTH, WIDTH)
    assert other[0]["img"].shape[1:] == (HEIGHT, WIDTH)
    assert mask.mean() == pytest.approx(HEART.mean(), rel=0.05)


FIVE = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")
TRAINED = [f"patient0000{n}_study1_view1_frontal" for n in range(1, 6)]


@pytest.fixture
def five(root):
    """The training table, with labels alone, beside outlines of the five findings in the test images, and of three
    further readers in these."""
    columns = (
        "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Atelectasis,Cardiomegaly,Consolidation,Edema,Pleural Effusion"
    )
    cells = ("1.0,,0.0,,", "-1.0,1.0,,,1.0", ",,,,", "0.0,0.0,0.0,0.0,-1.0", "1.0,1.0,1.0,1.0,1.0")
    path = "CheXpert-v1.0-small/train/patient0000{}/study1/view1_frontal.jpg,Female,68,Frontal,AP,,{}"
    written.text(root / "CheXpert/train.csv", columns, *(path.format(n, row) for n, row in enumerate(cells, 1)))
    for image in TRAINED:
        picture = root / "CheXpert/train" / (image.replace("_", "/", 2) + ".jpg")
        written.picture(picture, np.full((HEIGHT, WIDTH), 90, np.uint8))
    test = "Path,Atelectasis,Cardiomegaly,Consolidation,Edema,Pleural Effusion"
    rows = (
        "test/patient64741/study1/view1_frontal.jpg,0,1,0,0,1",
        "test/patient64742/study2/view1_frontal.jpg,0,0,0,0,0",
    )
    written.text(root / "CheXpert/test_labels.csv", test, *rows)
    truth = {"Cardiomegaly": encoded(HEART), "Pleural Effusion": encoded(OPACITY), "Airspace Opacity": encoded(HEART)}
    written.text(root / "CheXlocalize/gt_segmentations_test.json", json.dumps({TESTED: truth}))
    corners = [[[20.0, 30.0], [60.0, 30.0], [60.0, 50.0], [20.0, 50.0]]]
    readers = {
        "r1": {TESTED: {"img_size": [HEIGHT, WIDTH], "Cardiomegaly": corners, "Support Devices": corners}},
        "r2": {TESTED: {"Pleural Effusion": encoded(OPACITY), "Edema": encoded(HEART)}},
        "r3": {TESTED: {"Cardiomegaly": encoded(NONE)}, UNDRAWN: {}},
    }
    for name, drawn in readers.items():
        written.text(root / f"CheXlocalize/{name}.json", json.dumps(drawn))
    return root


def five_card(root, truth="mask", **parameters):
    parts = {
        "train": {"labels": "CheXpert/train.csv", "images": "CheXpert/train"},
        "test": part("test", readers={f"r{n}": f"CheXlocalize/r{n}.json" for n in (1, 2, 3)}),
    }
    return written.card("chexpert", root, truth, findings=FIVE, parameters={"parts": parts} | parameters)


@pytest.mark.parametrize(
    ("rules", "used"),
    [
        ({}, {0: "10000", 2: "00000", 4: "11111"}),
        ({"uncertain": "zeros"}, {0: "10000", 1: "01001", 2: "00000", 3: "00000", 4: "11111"}),
        ({"uncertain": "ones"}, {0: "10000", 1: "11001", 2: "00000", 3: "00001", 4: "11111"}),
        ({"uncertain": "ones", "blank": "ones"}, {0: "11011", 1: "11111", 2: "11111", 3: "00001", 4: "11111"}),
        ({"uncertain": "zeros", "blank": "left out"}, {3: "00000", 4: "11111"}),
        ({"blank": "left out"}, {4: "11111"}),
    ],
    ids=lambda value: (
        "-".join(value.values()).replace(" ", "_") if value and "0" not in "".join(value.values()) else ""
    ),
)
def test_five_labels_of_the_training_table_by_the_cards_rules(five, rules, used):
    found = {record.id: record for record in LOADERS["chexpert"].records(five_card(five, **rules))}
    labels = {
        number: "".join(str(int(name in found[image].findings)) for name in FIVE)
        for number, image in enumerate(TRAINED)
        if image in found
    }
    assert labels == used
    assert all(found[TRAINED[number]].truth is None for number in used)


def test_images_without_any_of_the_findings_are_left_out_of_the_parts_that_ask_for_one(five):
    """Also of labels that a rule has made 0; in a part that does not ask, they stay."""

    def used(*parts, **rules):
        found = LOADERS["chexpert"].records(five_card(five, at_least_one=parts, **rules))
        return {record.id for record in found}

    everything = {TRAINED[0], TRAINED[2], TRAINED[4], TESTED, UNDRAWN}
    assert used() == everything
    assert used("train") == everything - {TRAINED[2]}
    assert used("train", "test") == everything - {TRAINED[2], UNDRAWN}
    assert used("train", "test", uncertain="zeros") == {TRAINED[0], TRAINED[1], TRAINED[4], TESTED}


SHU = {
    "train": (
        ("patient00001/study1/view1_frontal", "Frontal", ",,,1.0,,,,"),
        ("patient00001/study1/view2_lateral", "Lateral", ",,,1.0,,,,"),
        ("patient00002/study2/view1_frontal", "Frontal", "1.0,,,,,,,"),  # no finding
        ("patient00003/study1/view1_frontal", "Frontal", ",,1.0,,,,-1.0,1.0"),
        ("patient00004/study1/view1_frontal", "Frontal", ",1.0,0.0,0.0,1.0,0.0,-1.0,0.0"),
    ),
    "val": (
        ("patient64541/study1/view1_frontal", "Frontal", "0.0,1.0,0.0,0.0,1.0,1.0,0.0,1.0"),
        ("patient64542/study1/view1_frontal", "Frontal", "1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0"),
    ),
    "test": (
        ("patient64741/study1/view1_frontal", "", "0.0,0.0,1.0,0.0,0.0,0.0,0.0,0.0"),
        ("patient64742/study1/view1_frontal", "", "0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0"),  # none of the five
    ),
}


@pytest.fixture
def as_shu(tmp_path):
    """The three tables of the card of Shu et al., in the columns that CheXpert and CheXlocalize have."""
    findings = "No Finding,Lung Opacity,Cardiomegaly,Edema,Consolidation,Atelectasis,Pneumothorax,Pleural Effusion"
    about, called = "Sex,Age,Frontal/Lateral,AP/PA", {"train": "train", "val": "valid", "test": "test"}
    for part, images in SHU.items():
        tested = part == "test"  # its table says nothing of the patient
        heading = f"Path,{findings}" if tested else f"Path,{about},{findings}"
        version = "" if tested else "CheXpert-v1.0/"
        rows = [f"{version}{called[part]}/{image}.jpg," + ("" if tested else f"Male,60,{view},AP,") + cells
                for image, view, cells in images]  # fmt: skip
        name = "train.csv" if part == "train" else f"{part}_labels.csv"
        written.text(tmp_path / "CheXpert" / name, heading, *rows)
        for image, _, _ in images:
            written.picture(tmp_path / f"CheXpert/{part}/{image}.jpg", np.full((HEIGHT, WIDTH), 90, np.uint8))
    return tmp_path


def shu_card(root, **counts):
    """The project's card, for files under a root; counts: of its splits, where others than in the paper."""
    card = data_cards.rooted(data_cards.load("chexpert-findings"), str(root))
    given = {name: Count(images=n, positive=n) for name, n in counts.items()}
    parameters = {name: value for name, value in card.parameters.items() if name != "published"}
    return card.model_copy(update={"counts": card.counts | given, "parameters": parameters})


def test_the_images_of_shu_are_frontal_certain_and_show_a_finding(as_shu):
    card = shu_card(as_shu)
    assert {record.id: (record.split, sorted(record.findings)) for record in LOADERS["chexpert"].records(card)} == {
        "patient00001_study1_view1_frontal": ("train", ["Edema"]),
        "patient00003_study1_view1_frontal": ("train", ["Cardiomegaly", "Pleural Effusion"]),
        "patient00004_study1_view1_frontal": ("train", ["Consolidation"]),
        "patient64541_study1_view1_frontal": ("val", ["Atelectasis", "Consolidation", "Pleural Effusion"]),
        "patient64741_study1_view1_frontal": ("test", ["Cardiomegaly"]),
    }


def test_the_card_of_shu_counts_what_the_paper_reports(as_shu):
    card = shu_card(as_shu)
    assert [count.images for count in card.counts.values()] == [90839, 128, 284]
    with pytest.raises(
        SaltrustError, match="split 'val' has 1 images, 1 with any of five; the card counts 128 and 128"
    ):
        LOADERS["chexpert"].load(card, "val", None, 30, 0)
    split = LOADERS["chexpert"].load(shu_card(as_shu, train=3, val=1, test=1), "train", None, 30, 0)
    assert split.truth is None
    assert split.findings.names == FIVE
    assert split.findings.present.astype(int).tolist() == [[0, 0, 0, 1, 0], [0, 1, 0, 0, 1], [0, 0, 1, 0, 0]]
    whole = data_cards.rooted(data_cards.load("chexpert-findings"), str(as_shu))
    with pytest.raises(SaltrustError, match="9 images, 8 patients, 0 outlined, but .* 1.0: 224316 images, 65240 pat"):
        LOADERS["chexpert"].records(whole)


def test_labels_alone_beside_outlined_images(five):
    train, test = (LOADERS["chexpert"].load(five_card(five), split, None, 30, 0) for split in ("train", "test"))
    assert train.truth is None
    assert train.findings.names == FIVE
    assert train.findings.present.tolist() == [[True] + [False] * 4, [False] * 5, [True] * 5]
    assert train.labels.tolist() == [1, 0, 1]
    assert test.findings.present.tolist() == [[False, True, False, False, True], [False] * 5]
    np.testing.assert_array_equal(test.findings.truth("Cardiomegaly")[0], written.boxed(30, 30, (7, 15, 20, 25)))
    assert not test.findings.truth("Edema").any()
    truths = [test.findings.truth(name) for name in FIVE]
    np.testing.assert_array_equal(np.any(truths, axis=0), test.truth)


def test_further_readers_are_kept_apart_from_the_outlines(five):
    found = {record.id: record for record in LOADERS["chexpert"].records(five_card(five))}
    assert {name: len(shapes) for name, shapes in found[TESTED].readers.items()} == {"r1": 1, "r2": 2, "r3": 0}
    assert found[UNDRAWN].readers == {"r3": ()}
    split = LOADERS["chexpert"].load(five_card(five), "test", None, 30, 0)
    assert split.readers.read.tolist() == [[True, False], [True, False], [True, True]]
    np.testing.assert_array_equal(split.readers.drawn("r1")[0], written.boxed(30, 30, (7, 15, 20, 25)))
    assert not split.readers.drawn("r3").any()


def test_readers_of_one_finding(five):
    parts = {"test": part("test", readers={"r2": "CheXlocalize/r2.json"})}
    (reader,) = records(five, "Pleural Effusion", parts=parts)[TESTED].readers.values()
    np.testing.assert_array_equal(reader[0].drawn(WIDTH, HEIGHT), OPACITY)


def test_labels_alone_by_the_cards_truth(five):
    """Nothing is read of the outlines, and any column of the table may be a finding."""
    parts = {
        "train": {"labels": "CheXpert/train.csv", "images": "CheXpert/train"},
        "test": part("test", outlines="x.json"),
    }
    made = written.card("chexpert", five, "none", findings=("Edema",), parameters={"parts": parts})
    assert all(record.truth is None for record in LOADERS["chexpert"].records(made))
    none = written.card(
        "chexpert", five, "none", parameters={"finding": "No Finding", "parts": {"train": parts["train"]}}
    )
    assert [record.label for record in LOADERS["chexpert"].records(none)] == [0] * 5


def readers_file(old, new):
    return lambda root: written.replace(root / "CheXlocalize/r1.json", old, new)


BAD_FIVE = {
    "a finding twice": ({"finding": "Edema"}, None, "needs either 'findings' or parameters.finding"),
    "another label": (
        {},
        lambda r: written.replace(r / "CheXpert/train.csv", "1.0,,0.0", "2.0,,0.0"),
        "line 2: Atelectasis",
    ),
    "an unknown rule": ({"blank": "0"}, None, "parameters.blank: Input should be 'zeros', 'ones' or 'left out'"),
    "no outline": (
        {},
        lambda r: written.replace(r / "CheXpert/test_labels.csv", "0,1,0,0,1", "0,1,0,0,0"),
        f"{TESTED} has an outline .* but no Pleural Effusion",
    ),
    "a reader's other image": (
        {},
        readers_file("[60, 90]", "[600, 900]"),
        "but the truth of 'made-up' was drawn on 900 x 600",
    ),
    "a reader's broken file": ({}, readers_file("{", "["), "r1.json: not JSON"),
    "a reader's two points": (
        {},
        readers_file("[[20.0, 30.0], [60.0, 30.0], [60.0, 50.0], [20.0, 50.0]]", "[[1, 2], [3, 4]]"),
        f"r1.json, {TESTED}: polygon of 2 points",
    ),
}


@pytest.mark.parametrize("case", BAD_FIVE)
def test_what_is_wrong_with_findings_or_readers_is_named(five, case):
    parameters, spoil, message = BAD_FIVE[case]
    if spoil:
        spoil(five)
    with pytest.raises(SaltrustError, match=message):
        LOADERS["chexpert"].records(five_card(five, **parameters))


def test_counts_as_published(root):
    whole = {"images": 5, "patients": 4, "outlined": 4}
    assert records(root, published={"1.0": whole})
    with pytest.raises(SaltrustError, match="5 images, 4 patients, 4 outlined, but .* 1.0: 902 images"):
        records(root, published={"1.0": {"images": 902}})


def part(name, **changed):
    whole = {
        "labels": f"CheXpert/{name}_labels.csv",
        "outlines": f"CheXlocalize/gt_segmentations_{name}.json",
        "images": f"CheXpert/{name}",
    }
    return whole | changed


def labels(old, new):
    return lambda root: written.replace(root / "CheXpert/val_labels.csv", old, new)


def outlines(content):
    return lambda root: written.text(root / "CheXlocalize/gt_segmentations_val.json", content)


BAD = {
    "a finding without outlines": ({"finding": "Fracture"}, None, "unknown finding with outlines 'Fracture'"),
    "another name": ({"finding": "Airspace Opacity"}, None, "outlines 'Airspace Opacity'; known: .*Lung Opacity"),
    "no table": ({"parts": {"val": part("train")}}, None, "no file .*train_labels.csv"),
    "no column": ({}, labels("Cardiomegaly", "Heart"), "no column 'Cardiomegaly'"),
    "no outlines": ({"parts": {"val": part("val", outlines="x.json")}}, None, "no file .*x.json"),
    "no path": ({}, labels("patient64542/study1/", "p64542/"), "line 4: .* is not the path of an image"),
    "another label": ({}, labels("PA,0.0,0.0,0.0,", "PA,0.0,0.0,2.0,"), "line 4: .* 1, 0, -1 or empty, not '2.0'"),
    "two labels": ({}, labels("valid/patient64542", "valid/patient64541"), "line 4: .* another label in another line"),
    "an outline and no label": ({}, labels("AP,0.0,1.0,1.0", "AP,0.0,1.0,0.0"), f"{MARKED} has an outline .*no Cardio"),
    "not JSON": ({}, outlines("{"), "segmentations_val.json: not JSON"),
    "other JSON": ({}, outlines("[1]"), "must hold the outlines of each image by its name"),
    "no counts": ({}, outlines(f'{{"{MARKED}": {{"Cardiomegaly": {{"size": [2, 2]}}}}}}'), "neither a mask"),
    "short counts": (
        {},
        outlines(f'{{"{MARKED}": {{"Cardiomegaly": {{"size": [60, 90], "counts": "14"}}}}}}'),
        f"{MARKED}: COCO mask",
    ),
    "two points": (
        {},
        outlines(f'{{"{MARKED}": {{"Cardiomegaly": [[[1, 2], [3, 4]]]}}}}'),
        f"{MARKED}: polygon of 2 points",
    ),
    "no image": ({}, lambda r: (r / "CheXpert/val/patient64542/study1/view1_frontal.jpg").unlink(), "1 of 3 images"),
    "an unknown policy": ({"uncertain": "ignored"}, None, "parameters.uncertain: Input should be"),
    "an unknown view": ({"views": ["AP"]}, None, "parameters.views.0: Input should be 'frontal' or 'lateral'"),
    "an unknown split": ({"parts": {"valid": part("val")}}, None, "parameters.parts.valid.*'train', 'val' or 'test'"),
    "a finding asked of no part": ({"at_least_one": ["train"]}, None, "at_least_one: unknown part 'train'"),
    "an unknown field": ({"parts": {"val": part("val", masks="x")}}, None, "parameters.parts.val.masks"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_named(root, case):
    parameters, spoil, message = BAD[case]
    if spoil:
        spoil(root)
    with pytest.raises(SaltrustError, match=message):
        records(root, **parameters)
