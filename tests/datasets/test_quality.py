"""Leaks, contradictions and sizes: each fault that is put into a data set is found, and nothing else."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from saltrust.core.labelled_images import Split
from saltrust.datasets.quality import (
    ALIKE,
    counts_by_finding,
    counts_by_reader,
    duplicates,
    groups_apart,
    pairs_alike,
    perceptual_hashes,
    report,
)
from saltrust.datasets.records import Record
from saltrust.datasets.shapes import Box

SIZE = 96


def scenes(n, seed):
    """Images (n, SIZE, SIZE) of smooth random structure, each unlike the others."""
    noise = np.random.default_rng(seed).normal(size=(n, SIZE, SIZE))
    smooth = gaussian_filter(noise, (0, 4, 4))
    low, high = smooth.min((1, 2), keepdims=True), smooth.max((1, 2), keepdims=True)
    return (255 * (smooth - low) / (high - low)).astype(np.uint8)


def split(n, seed, name):
    """n images, every second with a finding of 20 x 20 pixels."""
    truth = np.zeros((n, SIZE, SIZE), bool)
    truth[1::2, 30:50, 40:60] = True
    labels = np.arange(n, dtype=np.int64) % 2
    ids = np.array([f"{name}{i}" for i in range(n)])
    return Split(scenes(n, seed), labels, truth, np.zeros((0, 5), np.float32), ids)


@pytest.fixture
def splits():
    return {name: split(20, seed, name) for seed, name in enumerate(("train", "val", "test"))}


def found(splits, records=()):
    table = report(splits, pairs_alike(splits), records).set_index("check")
    return {check: row["found"] for check, row in table.iterrows() if row["found"]}, table


def coded(image, quality):
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def scaled(image, side):
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    "change",
    [
        lambda image: coded(image, 60),
        lambda image: scaled(image, 64),
        lambda image: scaled(image, 200),
        lambda image: (image * 0.7 + 30).astype(np.uint8),
        lambda image: np.repeat(image[..., None], 3, axis=2),
    ],
)
def test_a_changed_copy_keeps_its_hash_and_another_image_does_not(change):
    images = scenes(30, 7)
    hashes, copies = perceptual_hashes(images), perceptual_hashes([change(image) for image in images])
    differing = np.bitwise_count(hashes[:, None] ^ copies[None]).sum(axis=2)
    assert differing.diagonal().max() <= ALIKE
    assert differing[~np.eye(30, dtype=bool)].min() > 3 * ALIKE


@given(st.lists(st.integers(0, 40), min_size=1, max_size=25), st.integers(1, 7))
def test_duplicates_are_those_of_the_slow_count(numbers, chunk):
    hashes = np.array([[number, 0, number << 3, 0] for number in numbers], dtype=np.uint64)
    slow = [
        (i, j)
        for j in range(len(numbers))
        for i in range(j)
        if sum((int(a) ^ int(b)).bit_count() for a, b in zip(hashes[i], hashes[j], strict=True)) <= 2
    ]
    assert sorted(duplicates(hashes, alike=2, chunk=chunk)) == sorted(slow)


def test_a_clean_data_set_has_no_findings(splits):
    faults, table = found(splits)
    assert faults == {}
    assert (table["examples"] == "").all()


def test_copies_are_told_within_and_between_splits(splits):
    train, test = splits["train"], splits["test"]
    test.pixels[4] = coded(train.pixels[7], 70)
    train.pixels[2] = train.pixels[3]
    faults, table = found(splits)
    between, within = (
        "near copies between splits",
        "near copies within a split",
    )
    assert faults == {between: 1, within: 1}
    assert table.loc[between, "examples"] == "train7 = test4"
    assert pairs_alike(splits).to_numpy().tolist() == [["train", 2, "train", 3], ["train", 7, "test", 4]]


def test_images_of_one_value_are_told_and_are_alike(splits):
    splits["val"].pixels[[0, 5]] = 17
    faults, _ = found(splits)
    assert faults == {"images of one value": 2, "near copies within a split": 1}


def test_groups_in_several_splits_are_told():
    def record(name, group, split):
        return Record(name, Path(name), 0, split, group)

    records = [
        record("a", "p1", "train"),
        record("b", "p1", "test"),
        record("c", "p2", "test"),
        record("d", "p2", "test"),
        record("e", "", "train"),
        record("f", "", "test"),
        record("g", "p3", "train"),
        record("h", "p3", ""),
    ]
    assert groups_apart(records) == ["p1 (test, train)"]


def test_contradictions_and_sizes_are_told(splits):
    train, val, test = splits.values()
    train.truth[1] = False
    val.truth[0, :3, :3] = True
    test.truth[3] = True
    faults, _ = found({"train": train, "val": val, "test": test})
    assert faults == {
        "finding without truth": 1,
        "truth without finding": 1,
        "findings below 16 pixels": 1,
        "findings above 50% of the image": 1,
    }


def test_splits_of_other_prevalence_are_told(splits):
    rare = splits["train"]
    few = rare.labels * (np.arange(20) < 3)
    splits["train"] = replace(rare, labels=few, truth=rare.truth & few.astype(bool)[:, None, None])
    faults, table = found(splits)
    check = "splits of unlike prevalence"
    assert faults == {check: 2}
    assert table.loc[check, "examples"].startswith("train 5%, val 50%")


def test_labels_alone_contradict_nothing(splits):
    splits["train"] = replace(splits["train"], truth=None)
    faults, table = found(splits)
    assert faults == {}
    assert table.loc["findings below 16 pixels", "among"] == 20  # of the other splits


def test_images_are_counted_by_finding_and_by_reader():
    box = (Box(0, 0, 2, 2),)
    records = [
        Record("a", Path("a"), 1, findings={"mass": box, "scar": ()}, readers={"r2": box, "r1": ()}),
        Record("b", Path("b"), 1, findings={"mass": ()}, readers={"r2": ()}),
        Record("c", Path("c"), 0, readers={"r3": ()}),
    ]
    assert counts_by_finding(records, ("scar", "mass", "cyst")) == {"scar": 1, "mass": 2, "cyst": 0}
    assert list(counts_by_reader(records).items()) == [("r1", (1, 0)), ("r2", (2, 1)), ("r3", (1, 0))]
