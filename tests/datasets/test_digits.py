"""The digits of scikit-learn are read as they come, and dealt evenly."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from saltrust.core import data_cards
from saltrust.core.errors import SaltrustError
from saltrust.datasets.check import check
from saltrust.datasets.digits import CLASSES, dealt_order, load
from saltrust.datasets.loaders import LOADERS, loader_of

COUNTS = {"train": 1097, "val": 300, "test": 400}


@pytest.fixture(scope="module")
def splits():
    return {name: load(COUNTS, name, count, 8) for name, count in COUNTS.items()}


def test_the_splits_are_all_images_each_once(splits):
    ids = [name for split in splits.values() for name in split.ids]
    assert len(set(ids)) == len(ids) == 1797


def test_an_image_is_the_one_that_its_name_says(splits):
    found = load_digits()
    for split in splits.values():
        for k in (0, len(split) - 1):
            number = int(split.ids[k].removeprefix("digit-"))
            np.testing.assert_array_equal(split.pixels[k], np.rint(found.images[number] * 255 / 16))
            assert split.labels[k] == found.target[number]


def test_every_digit_has_its_share_of_every_split_and_of_its_beginning(splits):
    shares = np.bincount(load_digits().target) / 1797
    for split in splits.values():
        for count in (60, 300):
            assert np.abs(np.bincount(split.labels[:count], minlength=10) - count * shares).max() <= 2


def test_a_larger_image_has_squares_for_pixels():
    small, large = (load(COUNTS, "test", 3, size).pixels for size in (8, 24))
    np.testing.assert_array_equal(large[:, 1::3, 1::3], small)
    np.testing.assert_array_equal(large, np.kron(small, np.ones((1, 3, 3), np.uint8)))


def test_fewer_images_are_the_first_of_more():
    np.testing.assert_array_equal(load(COUNTS, "val", 7, 8).pixels, load(COUNTS, "val", 20, 8).pixels[:7])


def test_another_seed_is_another_order():
    digits = load_digits().target
    first, second = dealt_order(digits, 0), dealt_order(digits, 1)
    assert sorted(first) == sorted(second) == list(range(1797))
    assert (first != second).mean() > 0.9
    assert (digits[first] == digits[second]).all()


def test_the_card_reads_them_the_same_for_every_seed():
    card = data_cards.load("digits")
    loader = loader_of(card)
    first, second = (loader.load(card, "test", None, 8, seed) for seed in (0, 1))
    assert len(first) == 400
    assert (first.classes, first.absent, first.truth) == (CLASSES, None, None)
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert loader.fingerprint(card) == loader.fingerprint(card)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"split": "tset"}, "unknown split 'tset'"),
        ({"size": 12}, "multiple of 8, not 12"),
        ({"size": 4}, "multiple of 8, not 4"),
        ({"count": 401}, "1 to 400 images, not 401"),
        ({"count": 0}, "1 to 400 images, not 0"),
        ({"counts": COUNTS | {"train": 2000}}, "there are 1797 images, not 2700"),
    ],
)
def test_what_is_not_there_is_refused(given, message):
    with pytest.raises(SaltrustError, match=message):
        load(**{"counts": COUNTS, "split": "test", "count": 5, "size": 8} | given)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"classes": ("3", "8"), "contrast": ()}, "the classes 0, 1, 2"),
        ({"absent": "0"}, "none absent"),
        ({"parameters": {"noise": 1}}, "takes no parameters"),
        ({"findings": ("8", "3"), "classes": ()}, "knows one finding"),
    ],
)
def test_a_card_that_says_otherwise_is_refused(changed, message):
    card = data_cards.load("digits").model_copy(update=changed)
    with pytest.raises(SaltrustError, match=message):
        LOADERS["digits"].load(card, "test", 5, 8, 0)


def test_a_check_says_where_they_come_from():
    lines, records = check(data_cards.load("digits"))
    assert ([(line.what, line.found, line.good) for line in lines], records) == (
        [("files", "none: the images come with scikit-learn", True)],
        [],
    )
