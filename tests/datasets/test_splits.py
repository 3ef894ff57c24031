"""Splits: dealt, drawn and thinned by ids and labels alone, in shares, whatever the order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saltrust.datasets import splits
from saltrust.datasets.records import Record

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 70), st.integers(0, 3))
def test_a_draw_keeps_the_shares_of_the_classes(labels, count, seed):
    given_ = [Record(f"{i:03}", None, label, "test") for i, label in enumerate(labels)]
    drawn = splits.sampled(given_, count, seed)
    assert len(drawn) == min(count, len(labels))
    assert [record.id for record in drawn] == sorted(record.id for record in drawn)
    assert drawn == splits.sampled(given_, count, seed)
    for label in set(labels):
        expected = labels.count(label) * min(1, count / len(labels))
        found = sum(record.label == label for record in drawn)
        assert found >= 1 or count < len(set(labels))
        assert abs(found - expected) <= len(set(labels))


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 1)), min_size=1, max_size=120), st.randoms())
def test_groups_are_dealt_whole_whatever_the_order(drawn, random):
    images = [Record(str(i), None, label, group=f"p{group}" if group else "") for i, (group, label) in enumerate(drawn)]
    dealt = splits.dealt(images, SHARES)
    assert [record.id for record in dealt] == [record.id for record in images]
    of_group = {}
    for record in dealt:
        assert record.split in SHARES
        if record.group:
            assert of_group.setdefault(record.group, record.split) == record.split
    shuffled = random.sample(images, len(images))
    assert {r.id: r.split for r in splits.dealt(shuffled, SHARES)} == {r.id: r.split for r in dealt}
    sizes = [sum(r.group == f"p{g}" for r in images) for g in range(1, 13)]
    for split, share in SHARES.items():  # no split is farther off than a group and an image of each label
        assert abs(sum(r.split == split for r in dealt) - share * len(images)) <= max([*sizes, 0]) + 2


def test_single_images_are_dealt_to_the_shares_of_both_labels():
    images = [Record(str(i), None, int(i < 300)) for i in range(1000)]
    dealt = splits.dealt(images, SHARES)
    for split, share in SHARES.items():
        assert sum(r.split == split for r in dealt) == pytest.approx(share * 1000, abs=1)
        assert sum(r.split == split and r.label for r in dealt) == pytest.approx(share * 300, abs=1)
    assert [r.split for r in splits.dealt(images, SHARES, seed=1)] != [r.split for r in dealt]


def test_every_finding_is_dealt_to_its_shares():
    """A rare one, too, whose images all have the label of the other."""
    images = [
        Record(str(i), None, 1, findings={"often": (), **({"rarely": ()} if i % 10 == 0 else {})}) for i in range(400)
    ]
    dealt = splits.dealt(images, SHARES)
    for split, share in SHARES.items():
        assert sum(r.split == split for r in dealt) == pytest.approx(share * 400, abs=1)
        assert sum(r.split == split and "rarely" in r.findings for r in dealt) == pytest.approx(share * 40, abs=1)


def test_negatives_are_drawn_alike_in_any_order(tmp_path):
    records = [Record(str(n), tmp_path, int(n < 3)) for n in range(40)]
    drawn = splits.thinned(records, 2)
    assert sum(r.label for r in drawn) == 3
    assert len(drawn) == 9
    assert {r.id for r in splits.thinned(records[::-1], 2)} == {r.id for r in drawn}
    assert splits.thinned(records, 0) == records
