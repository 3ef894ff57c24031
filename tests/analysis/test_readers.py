"""Agreement of readers: against a slow second way, on readers whose agreement is known, and what is left out or odd."""

from itertools import permutations

import numpy as np
import pytest

from saltrust.analysis.readers import ABOVE_CHANCE, ALL, AVERAGE, COLUMNS, Choices, agreement
from saltrust.core.errors import SaltrustError
from saltrust.datasets.reader_tables import Reading
from saltrust.datasets.shapes import Box, Polygon

QUICK = {"n_boot": 50}
SIDE = 30


def reading(drawn, patients=None, unshared=()):
    """From {reader: [boxes of each image]}."""
    names = [f"i{k}" for k in range(len(next(iter(drawn.values()))))]
    return Reading(
        {reader: dict(zip(names, map(tuple, own), strict=True)) for reader, own in drawn.items()},
        patients or {},
        unshared,
    )


@pytest.fixture(scope="module")
def three():
    """Three readers who mark a finding somewhat differently in eight images; the second misses it in two of them."""
    rng = np.random.default_rng(6)
    drawn = {"ann": [], "bob": [], "carl": []}
    for image in range(8):
        x, y = rng.integers(4, 14, 2)
        for reader, own in drawn.items():
            dx, dy, w, h = rng.integers(0, 3, 4)
            missed = reader == "bob" and image in (2, 5)
            own.append([] if missed else [Box(x + dx, y + dy, x + dx + 8 + w, y + dy + 8 + h)])
    return reading(drawn, {f"i{k}": f"p{k // 2}" for k in range(8)})


def pixels(shapes):
    return {(x, y) for box in shapes for x in range(int(box.x0), int(box.x1)) for y in range(int(box.y0), int(box.y1))}


def overlap(one, other):
    return len(one & other) / len(one | other) if one | other else 1.0


def mean_of(table, rater, reference, score="iou"):
    (row,) = table[(table.rater == rater) & (table.reference == reference) & (table.score == score)].itertuples()
    return row.mean


def test_sets_of_pixels_give_the_same(three):
    table = agreement(three, Choices(**QUICK)).table
    assert list(table) == COLUMNS
    assert set(table["mode"]) == {"drawn"}
    expected = {
        reference: {reader: [] for reader in three.readers} for reference in ("consensus", "others", "pairwise")
    }
    for image in three.images:
        drawn = {reader: pixels(three.drawn[reader][image]) for reader in three.readers}
        for own, second, third in permutations(three.readers):
            if second > third:
                continue
            a, b, c = drawn[own], drawn[second], drawn[third]
            expected["consensus"][own].append(overlap(a, a & b | a & c | b & c))
            expected["others"][own].append(overlap(a, b & c))
            expected["pairwise"][own].append((overlap(a, b) + overlap(a, c)) / 2)
    for reference, by_reader in expected.items():
        for reader, values in by_reader.items():
            assert mean_of(table, reader, reference) == pytest.approx(np.mean(values)), (reader, reference)
        assert mean_of(table, AVERAGE, reference) == pytest.approx(np.mean(list(by_reader.values())))


def test_the_size_adds_scores_and_moves_no_overlap(three):
    unknown, known = (agreement(three, Choices(size=size, **QUICK)).table for size in (None, (SIDE, SIDE)))
    keys = ["rater", "reference", "score"]
    both = unknown.merge(known, on=keys, suffixes=("", "_known"))
    assert len(both) == len(unknown) < len(known)
    np.testing.assert_allclose(both["mean"], both["mean_known"])
    assert {"pixel_error", "auprc_trapezoid", "alpha_pixels"} <= set(known["score"]) - set(unknown["score"])
    assert {"staple", "others_staple"} <= set(known["reference"]) - set(unknown["reference"])


def test_alpha_is_that_of_all_pixels_in_one_row(three):
    from saltrust.stats.krippendorff import alpha, nominal, value_counts

    table = agreement(three, Choices(size=(SIDE, SIDE), **QUICK)).table
    masks = np.concatenate([three.masks(image, (SIDE, SIDE)).reshape(3, -1) for image in three.images], axis=1)
    counts, values = value_counts(masks)
    assert mean_of(table, ALL, "each other", "alpha_pixels") == pytest.approx(float(alpha(counts, nominal(values))))


def test_chance_is_taken_off(three):
    table = agreement(three, Choices(size=(SIDE, SIDE), chance=True, **QUICK)).table
    for reference in ("consensus", "pairwise"):
        assert 0 < mean_of(table, AVERAGE, reference, ABOVE_CHANCE) < mean_of(table, AVERAGE, reference)
    with pytest.raises(SaltrustError, match="give the size of the images"):
        agreement(three, Choices(chance=True))


def test_readers_who_draw_anywhere_are_flattered_by_their_consensus():
    rng = np.random.default_rng(1)

    def anywhere():
        x, y = rng.integers(0, 10, 2)
        return [Box(x, y, x + 20, y + 20)]

    drawn = {reader: [anywhere() for _ in range(60)] for reader in "abc"}
    found = agreement(reading(drawn), Choices(size=(SIDE, SIDE), chance=True, **QUICK))
    assert found.verdict.startswith("The consensus flatters its readers: the average reader has an IoU of 0.")
    assert "set them beside 0." in found.verdict
    assert mean_of(found.table, AVERAGE, "consensus") > mean_of(found.table, AVERAGE, "pairwise") + 0.1


def test_readers_who_agree_are_not():
    drawn = {reader: [[Box(2, 2, 9, 9)]] * 5 for reader in "abc"}
    found = agreement(reading(drawn), Choices(size=(SIDE, SIDE), **QUICK))
    assert found.verdict.startswith("The consensus does not flatter its readers here")
    overlaps = found.table[found.table.score.isin(["iou", "dice", "alpha_pixels", "average_precision"])]
    np.testing.assert_allclose(overlaps["mean"], 1)
    np.testing.assert_allclose(found.table[found.table.score == "pixel_error"]["mean"], 0)
    assert "5 images (patients unknown: no column 'patient', images are resampled), 3 readers" in found.notes[0]


def test_patients_are_resampled_as_one():
    """Where all images of a patient are alike, there are as many values as patients."""
    near, far = [Box(0, 0, 10, 10)], [Box(5, 0, 15, 10)]
    drawn = {"a": [near] * 40, "b": [near] * 20 + [far] * 20, "c": [near] * 20 + [far] * 20}
    alone = agreement(reading(drawn), Choices(n_boot=300)).table
    together = agreement(reading(drawn, {f"i{k}": f"p{k // 10}" for k in range(40)}), Choices(n_boot=300)).table
    width = {
        name: (table.ci_high - table.ci_low)[(table.rater == "a") & (table.score == "iou")].iloc[0]
        for name, table in (("alone", alone), ("together", together))
    }
    assert width["together"] > 2 * width["alone"]


def test_what_is_left_out_or_set_by_a_rule_is_said():
    box, away, crossed = Box(1, 1, 5, 5), Box(20, 20, 25, 25), Polygon((((0, 0), (4, 4), (4, 0), (0, 4)),))
    drawn = {
        "a": [[box], [box], [], [Box(-3, 0, 5, 5)]],
        "b": [[box], [away], [], [crossed]],
        "c": [[box], [], [], [box]],
    }
    given = reading(drawn, unshared=("x", "y"))
    agreed, every = (agreement(given, Choices(images=images, **QUICK)) for images in ("agreed", "all"))
    assert set(agreed.table.n) == {2}
    assert set(every.table.n) == {4}
    text = "\n".join(agreed.notes)
    assert "2 images were not read by all readers and are left out: x, y" in text
    assert "In 2 of 4 images no pixel has 2 votes; they are left out" in text
    assert "Drawings cut by the border of the image: a 1" in text
    assert "Drawings with an outline that crosses itself: b 1" in text
    assert "c drew nothing" not in text
    text = "\n".join(every.notes)
    assert "In 2 of 4 images no pixel has 2 votes; they count" in text
    assert "c drew nothing in 2 of 4 images." in text
    assert "Pairs of two empty masks have IoU and Dice 1: consensus 4, others 4, pairwise 6, union 3," in text
    known = agreement(given, Choices(images="all", size=(SIDE, SIDE), **QUICK))
    assert "Against an empty reference AUPRC has no value; readings left out of it: consensus 6," in "\n".join(
        known.notes
    )
    areas = known.table[(known.table.score == "average_precision") & (known.table.rater == AVERAGE)]
    assert areas.set_index("reference").n["consensus"] == 2


def test_two_empty_masks_score_by_the_rule():
    drawn = {"a": [[Box(1, 1, 5, 5)], []], "b": [[Box(1, 1, 5, 5)], []]}
    ones, nothing, out = (
        agreement(reading(drawn), Choices(images="all", empty=empty, **QUICK)).table for empty in (1.0, 0.0, np.nan)
    )
    for table, mean, n in ((ones, 1, 2), (nothing, 0.5, 2), (out, 1, 1)):
        (row,) = table[(table.rater == "a") & (table.reference == "pairwise") & (table.score == "iou")].itertuples()
        assert (row.mean, row.n) == (mean, n)


def test_what_cannot_be_measured_is_refused():
    apart = reading({"a": [[Box(0, 0, 2, 2)]], "b": [[Box(5, 5, 9, 9)]]})
    with pytest.raises(SaltrustError, match="in none of 1 images do 2 of 2 readers mark the same pixel"):
        agreement(apart, Choices())
    assert mean_of(agreement(apart, Choices(images="all", **QUICK)).table, AVERAGE, "pairwise") == 0
    with pytest.raises(SaltrustError, match="3 votes of 2 readers: 1 to 2 are possible"):
        agreement(apart, Choices(votes=3))
    with pytest.raises(SaltrustError, match="images: 'some' is not one of agreed, all"):
        agreement(apart, Choices(images="some"))
    nothing = agreement(reading({"a": [[]], "b": [[]]}), Choices(images="all", empty=np.nan, **QUICK))
    assert nothing.verdict == "In no image did anybody draw: there is nothing to agree about."
