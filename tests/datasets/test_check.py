"""Checking a data set on this machine: what is right is told, and each thing that is wrong."""

import re

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from saltrust.cli import app
from saltrust.core import data_cards, paths
from saltrust.core.errors import SaltrustError
from saltrust.datasets.check import check
from saltrust.publishing.contact_sheet import contact_sheet

SPLIT = ("train", "train", "val", "val", "test", "test")


@pytest.fixture
def data(tmp_path):
    """Six images of 40 x 30 pixels, every second with a mask; returns (folder, function that writes the card)."""
    rows = []
    for i, split in enumerate(SPLIT):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (30, 40), np.uint8)).save(tmp_path / f"{i}.png")
        mask = np.zeros((30, 40), np.uint8)
        mask[5:15, 10:30] = 255
        if i % 2:
            Image.fromarray(mask).save(tmp_path / f"m{i}.png")
        rows.append({"image": f"{i}.png", "label": i % 2, "mask": f"m{i}.png" if i % 2 else "", "split": split})
    table = pd.DataFrame(rows).assign(group=["a", "a", "b", "b", "c", "c"])
    table.to_csv(tmp_path / "t.csv", index=False)

    def card(**changes):
        content = {
            "name": "six",
            "finding": "square",
            "truth": "mask",
            "get": {"root": str(tmp_path), "source": "the test", "tree": "t.csv\n0.png ...\n"},
            "table": {"file": "t.csv"} | {c: c for c in ("image", "label", "mask", "split", "group")},
            "counts": dict.fromkeys(("train", "val", "test"), {"images": 2, "positive": 1}),
        }
        file = tmp_path / "six.yaml"
        file.write_text(yaml.safe_dump(content | changes))
        return data_cards.parse(file)

    return tmp_path, card


def wrong(card, **options):
    lines, _ = check(card, **options)
    return {line.what: line.found for line in lines if line.good is False}


def test_a_data_set_that_is_as_its_card_says(data):
    folder, card = data
    lines, sound = check(card())
    told = {line.what: line.found for line in lines}
    assert all(line.good in (True, None) for line in lines)
    assert told["train"] == "2 images, 1 with square"
    assert told["patients (groups)"] == "0 of 3 in several splits"
    assert told["images"] == "6 of 6 opened; 0 of 6 not in order"
    assert told["size"] == "40 x 30 pixels"
    assert told["share of the truth"] == "16.69% to 16.69%, median 16.69%"  # of 320 x 320 pixels; in the file 1 of 6
    assert {record.id for record in sound} == {f"{i}.png" for i in range(6)}
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["t.csv", "six.yaml", *(f"{i}.png" for i in range(6)), *(f"m{i}.png" for i in (1, 3, 5))]
    )


def test_the_sheet_shows_the_truth_outlined(data, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    _, card = data
    _, sound = check(card())
    shown = np.asarray(Image.open(contact_sheet(card(), sound)).convert("RGB")).astype(int)
    cyan = (shown[..., 0] < 120) & (shown[..., 1] > 160) & (shown[..., 2] > 180)
    assert cyan.sum() > 300


def test_each_thing_that_is_wrong_is_told(data):
    folder, card = data
    table = pd.read_csv(folder / "t.csv")
    table.loc[3, "group"] = "a"
    table.loc[4, "label"] = 1
    table.to_csv(folder / "t.csv", index=False)
    (folder / "0.png").unlink()
    (folder / "2.png").write_bytes(b"no image")
    Image.new("L", (7, 7), 255).save(folder / "m5.png")
    found = wrong(card())
    assert set(found) == {"test", "image files", "labels without truth", "patients (groups)", "images"}
    assert found["test"] == "2 images, 2 with square; the card counts 2 and 1"
    assert found["image files"].startswith("1 of 6 missing: ")
    assert found["image files"].endswith("0.png")
    assert found["labels without truth"] == "1 of 6 with square, no truth: 4.png"
    assert found["patients (groups)"] == "1 of 3 in several splits: a (train, val)"
    assert found["images"].startswith("5 of 5 opened; 2 of 5 not in order")
    assert "2.png: cannot be read as an image" in found["images"]
    assert "mask is 7 x 7, its image 40 x 30" in found["images"]


def test_a_truth_that_fills_its_image_is_told(data):
    folder, card = data
    Image.new("L", (40, 30), 255).save(folder / "m5.png")
    told = {line.what: line for line in check(card())[0]}["truth without an outside"]
    assert told.good is None
    assert told.found == "1 of 3 filled by it: every map's AUPRC is 1: 5.png"


def test_tables_that_cannot_be_read_and_folders_that_are_not_there(data, tmp_path):
    folder, card = data
    assert wrong(data_cards.rooted(card(), str(tmp_path / "nowhere"))) == {
        "folder": f"no folder {tmp_path}/nowhere (get it from the test)"
    }
    (folder / "t.csv").write_text("image,label\n0.png,0\n")
    assert "no column 'split'" in wrong(card())["tables"]


def test_generated_data_is_whole():
    lines, sound = check(data_cards.load("cells"))
    assert [line.good for line in lines] == [True]
    assert sound == []


def test_the_command_prints_every_line_and_fails_where_something_is_wrong(data, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    folder, card = data
    card()
    command = ["datasets", "check", str(folder / "six.yaml")]
    out = CliRunner().invoke(app, [*command, "--root", str(folder), "--sample", "3"]).output
    assert re.search("^ok +train ", out, re.MULTILINE)
    assert "Contact sheet: " in out
    (folder / "1.png").unlink()
    done = CliRunner().invoke(app, [*command, "--sample", "0"])
    assert isinstance(done.exception, SaltrustError)
    assert re.fullmatch(r"data set 'six': 1 of \d+ checks failed", str(done.exception))
    assert "\nExpected:\nt.csv\n" in done.output
    assert re.search("^WRONG +image files ", done.output, re.MULTILINE)


def test_boxes_that_cannot_be_meant_are_told(data):
    folder, card = data
    table = pd.read_csv(folder / "t.csv").drop(columns="mask")
    boxes = {1: (5, 5, 9, 9), 3: (0.1, 0.1, 0.4, 0.4), 5: (30, 20, 60, 25)}  # right, normalised, over the border
    for i, column in enumerate(("x", "y", "right", "bottom")):
        table[column] = [boxes[row][i] if row in boxes else None for row in table.index]
    table.to_csv(folder / "t.csv", index=False)
    columns = ("image", "label", "split", "group", "x", "y", "right", "bottom")
    lines, _ = check(card(truth="box", table={"file": "t.csv"} | {c: c for c in columns}))
    told = {line.what: line for line in lines}
    assert told["images"].found.endswith(
        "1 of 6 not in order: 3.png: less than a pixel of a box lies in its 40 x 30 pixels"
    )
    assert told["boxes cut"].found == "1 of 6 reach over the border of their image: 5.png"
    assert told["boxes cut"].good is None


def test_of_several_readers_each_must_draw_what_can_be_meant_and_may_share_a_sliver(data):
    folder, card = data
    table = pd.read_csv(folder / "t.csv").drop(columns="mask")
    boxes = {"r1": {1: (5, 5, 9, 9), 3: (5, 5, 9, 9), 5: (2, 2, 8.6, 8)}}
    boxes["r2"] = {1: (5, 5, 9, 9), 3: (5, 5, 5.9, 9), 5: (8.4, 2, 20, 8)}  # the second a sliver, the third shares one
    rows = [
        row._asdict() | {"reader": name} | dict(zip("abcd", own.get(row.Index, (None,) * 4), strict=True))
        for name, own in boxes.items()
        for row in table.itertuples()
    ]
    pd.DataFrame(rows).to_csv(folder / "t.csv", index=False)
    edges = dict(zip(("x", "y", "right", "bottom"), "abcd", strict=True))
    columns = {c: c for c in ("image", "label", "split", "group", "reader")}
    lines, _ = check(card(truth="box", table={"file": "t.csv", "votes": 2} | columns | edges))
    told = {line.what: line for line in lines}
    assert told["images"].found.endswith(
        "1 of 6 not in order: 3.png: less than a pixel of a box lies in its 40 x 30 pixels"
    )


def test_groups_that_nobody_tells_are_not_called_right(data):
    _, card = data
    lines, _ = check(card(table={"file": "t.csv"} | {c: c for c in ("image", "label", "mask", "split")}))
    line = next(line for line in lines if line.what == "patients (groups)")
    assert (line.good, line.found.partition(":")[0]) == (None, "not told")


def test_readers_and_findings_are_told(data):
    folder, card = data
    rows = [
        {
            "image": f"{i}.png",
            "label": label,
            "split": split,
            "reader": reader,
            "mask": f"m{i}.png" if label != "none" else "",
        }
        for i, (split, label) in enumerate(
            zip(SPLIT, ("none", "mass", "none", "mass|scar", "none", "scar"), strict=True)
        )
        for reader in ("r1", "r2")[: 1 + i % 2]
    ]
    pd.DataFrame(rows).to_csv(folder / "t.csv", index=False)
    table = {"file": "t.csv", "separator": "|"} | {c: c for c in ("image", "label", "mask", "split", "reader")}
    lines, _ = check(card(table=table, findings=["mass", "scar"], counts={}))
    told = {line.what: line.found for line in lines}
    assert all(line.good in (True, None) for line in lines)
    assert told["val"] == "2 images, 1 with square (mass 1, scar 1)"
    assert (told["reader r1"], told["reader r2"]) == ("drew in 3 of 6 images", "drew in 3 of 3 images")


def test_labels_alone_are_in_order(data):
    folder, card = data
    table = {"file": "t.csv"} | {c: c for c in ("image", "label", "split", "group")}
    lines, sound = check(card(table=table, truth="none"))
    assert all(line.good in (True, None) for line in lines)
    assert len(sound) == 6
    assert contact_sheet(card(table=table, truth="none"), sound).exists()
