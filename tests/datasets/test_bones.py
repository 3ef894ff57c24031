"""The drawn limbs: each finding exactly where its mask says, and readers who agree as far as radiologists did."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from saltrust.core import data_cards
from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import unpacked
from saltrust.datasets.bones import (
    ON_FILE,
    VIEWS,
    load,
    patient_of,
    radiograph,
    reading,
    region_of,
    scene,
)
from saltrust.datasets.bones.anatomy import REGIONS
from saltrust.datasets.bones.look_alikes import LOOK_ALIKES
from saltrust.datasets.bones.parameters import SUBGROUPS, BonesParameters
from saltrust.datasets.loaders import LOADERS
from saltrust.datasets.simulated_readers import READERS

CARD = data_cards.load("phantom-bones")
PARAMETERS = BonesParameters.of(**CARD.parameters)
ONLY = {name: replace(PARAMETERS, shares=tuple(float(name == other) for other in SUBGROUPS)) for name in SUBGROUPS}
BLUR = (
    3  # pixels, at 96, by which the influence of a finding exceeds its mask: blur, and what is too little to be of it
)


def key_of(region, parameters=PARAMETERS):
    """The first patients of a region."""
    keys = ((11, 2, k) for k in range(400))
    return next(key for key in keys if scene(key, 0, parameters, False).attributes["region"] == region)


@pytest.fixture(scope="module")
def small():
    return load(PARAMETERS, "test", 40, 24, 48, 3)


def test_same_key_same_film():
    first, again = (radiograph((3, 1, 4), 1, 64, PARAMETERS, True) for _ in range(2))
    np.testing.assert_array_equal(first.pixels, again.pixels)
    np.testing.assert_array_equal(first.mask, again.mask)
    assert first.attributes == again.attributes
    assert (radiograph((3, 1, 5), 1, 64, PARAMETERS, True).pixels != first.pixels).mean() > 0.3


@pytest.mark.parametrize("region", REGIONS)
def test_a_patient_is_the_same_at_every_size(region):
    still = replace(PARAMETERS, noise=0.0)
    key = key_of(region)
    small, large = (radiograph(key, 0, size, still, True) for size in (96, 192))
    halved = large.pixels.reshape(96, 2, 96, 2).mean(axis=(1, 3))
    assert np.corrcoef(halved.ravel(), small.pixels.ravel())[0, 1] > 0.98
    assert small.attributes == large.attributes
    assert large.mask.reshape(96, 2, 96, 2).any(axis=(1, 3))[small.mask].mean() > 0.6


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("name", SUBGROUPS)
def test_a_finding_changes_the_film_where_its_mask_lies_and_nowhere_else(region, name):
    parameters = replace(ONLY[name], noise=0.0, severity=(0.5, 1.0))
    key = key_of(region, parameters)
    for view in range(len(VIEWS)):
        with_it, without = (radiograph(key, view, 96, parameters, label) for label in (True, False))
        assert with_it.attributes["subgroup"] == name
        assert not without.mask.any()
        change = np.abs(with_it.pixels.astype(int) - without.pixels)
        near = ndimage.binary_dilation(with_it.mask, iterations=BLUR)
        assert change[~near].max() <= 12  # of 255: what the tails of the blur leave
        assert change[with_it.mask].mean() > 4
        assert change[with_it.mask].mean() > 10 * change[~near].mean()


@pytest.mark.parametrize("name", SUBGROUPS)
def test_every_finding_lies_on_its_film_even_at_the_smallest_size(name):
    for k in range(12):
        for view in range(len(VIEWS)):
            assert radiograph((8, 0, k), view, 32, ONLY[name], True).mask.any()


def test_what_a_lesion_is_boxed_by_goes_around_its_mask():
    """The boxes come from outlines, the masks from pixels: two descriptions of the same place."""
    covered = []
    for k in range(30):
        shown, image = scene((9, 0, k), 0, PARAMETERS, True), radiograph((9, 0, k), 0, 96, PARAMETERS, True)
        boxed = np.zeros((96, 96), bool)
        for points in shown.boxes():
            (x0, y0), (x1, y1) = (points.min(axis=0) + (0.5, 0)) * 96 - 1.5, (points.max(axis=0) + (0.5, 0)) * 96 + 1.5
            boxed[max(0, int(y0)) : max(0, int(np.ceil(y1))), max(0, int(x0)) : max(0, int(np.ceil(x1)))] = True
        covered.append(image.mask[boxed].sum() / image.mask.sum())
    assert np.mean(covered) > 0.95
    assert min(covered) > 0.6


def test_findings_are_as_frequent_as_asked():
    draws = 800
    found = Counter(scene((4, 0, k), 0, PARAMETERS, True).attributes["subgroup"] for k in range(draws))
    for name, share in zip(SUBGROUPS, PARAMETERS.shares, strict=True):
        assert found[name] / draws == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / draws))
    assert PARAMETERS.shares[0] + PARAMETERS.shares[1] == pytest.approx(0.62)  # 367 of 588 in the paper


def test_regions_are_equally_frequent_and_each_has_every_finding():
    found = Counter()
    for k in range(900):
        told = scene((4, 0, k), 0, PARAMETERS, True).attributes
        found[told["region"], told["subgroup"]] += 1
    regions = Counter(region for region, _ in found.elements())
    assert all(abs(regions[region] / 900 - 1 / 3) < 4 * np.sqrt(2 / 9 / 900) for region in REGIONS)
    assert set(found) == {(region, name) for region in REGIONS for name in SUBGROUPS}


def test_look_alikes_and_casts_do_not_depend_on_the_label():
    """The same patient has the same ones with a finding or without; each is there now and then."""
    seen = Counter()
    for k in range(200):
        told, clear = (scene((6, 0, k), 0, PARAMETERS, label).attributes for label in (True, False))
        for name in ("look_alikes", "cast", "marker", "region"):
            assert told[name] == clear[name]
        seen.update([*told["look_alikes"], *(["cast"] if told["cast"] else [])])
    assert set(seen) == {*LOOK_ALIKES, "cast"}
    assert min(seen.values()) > 10


@pytest.mark.parametrize(("name", "choice"), [("cast", {"cast": 1.0}), ("growth plates", {"young": 1.0})])
def test_a_look_alike_is_drawn(name, choice):
    none = replace(PARAMETERS, noise=0.0, cast=0.0, young=0.0, mimic=0.0)
    key = key_of("wrist", none)
    without, with_it = (
        radiograph(key, 0, 96, one, False).pixels.astype(int) for one in (none, replace(none, **choice))
    )
    assert (np.abs(with_it - without) > 8).sum() > 30
    assert not scene(key, 0, none, False).attributes["look_alikes"]


def test_a_patient_has_two_views_of_one_region_in_one_split(small):
    splits = {name: load(PARAMETERS, name, 30, 14, 32, 3) for name in ("train", "val")} | {"test": small}
    patients = {name: {patient_of(one) for one in split.ids} for name, split in splits.items()}
    assert not set.intersection(*patients.values())
    views = Counter(patient_of(name) for name in small.ids)
    assert set(views.values()) <= {1, 2}
    assert Counter(views.values())[2] > Counter(views.values())[1]  # one where readers did not agree, and at the end
    for patient in views:
        assert len({region_of(name) for name in small.ids if patient_of(name) == patient}) == 1
    first, second = (radiograph((1, 0, 3), view, 64, PARAMETERS, False) for view in range(2))
    assert first.attributes["region"] == second.attributes["region"]
    assert np.abs(first.pixels.astype(int) - second.pixels).mean() > 5


def test_a_split_has_the_truth_of_two_readers_and_the_exact_pixels_besides(small):
    drawn = np.stack([small.readers.drawn(name) for name in READERS])
    np.testing.assert_array_equal(small.labels == 1, small.truth.any(axis=(1, 2)))
    np.testing.assert_array_equal(small.findings.present.sum(axis=1), small.labels)
    exact = unpacked(small.findings.bits, 48)
    np.testing.assert_array_equal(exact.any(axis=(2, 3)).T, small.findings.present)
    assert small.readers.read.all()
    assert not drawn[:, small.labels == 0].any()
    # Votes were counted on the film on file: at another size they differ by pixels at the edges of boxes.
    votes = drawn.sum(axis=0) >= 2
    assert (votes ^ small.truth).sum() < 0.06 * small.truth.sum()
    hit = (exact.any(axis=0) & small.truth).any(axis=(1, 2))[small.labels == 1]
    assert hit.mean() > 0.8


def test_a_film_does_not_depend_on_how_many_there_are():
    few, more = (load(PARAMETERS, "val", count, count // 2, 32, 5) for count in (6, 12))
    there = {name: image for name, image in zip(more.ids, more.pixels, strict=True)}
    for name, image in zip(few.ids, few.pixels, strict=True):
        np.testing.assert_array_equal(image, there[name])


class Agreement:
    """Of readers on the films of abnormal patients, in masks of 64 pixels a side."""

    def __init__(self, patients):
        own, pairs, groups, boxes, open_, empty = [], [], [], [], 0, np.zeros(3)
        for number in range(patients):
            for view in range(2):
                key = (1, 2, 2 * number + 1)  # readers were fitted on those of seed 0
                shown = scene(key, view, PARAMETERS, True)
                drawn = reading(key, view, shown, PARAMETERS)
                masks = np.array([self.mask(drawn[name]) for name in READERS])
                boxes.append([len(drawn[name]) for name in READERS])
                truth = masks.sum(axis=0) >= 2
                if not truth.any():
                    open_ += 1
                    continue
                own.append([self.iou(mask, truth) for mask in masks])
                pairs.append([self.iou(masks[i], masks[j]) for i, j in ((0, 1), (0, 2), (1, 2))])
                groups.append(shown.attributes["subgroup"])
                empty += ~masks.any(axis=(1, 2))
        self.own, self.pairs, self.groups = np.array(own), np.array(pairs), np.array(groups)
        self.boxes, self.open, self.empty = np.mean(boxes, axis=0), open_ / len(boxes), empty / len(own)

    @staticmethod
    def mask(boxes):
        centres = (np.arange(64) + 0.5) * ON_FILE / 64
        inside = [
            ((centres >= box.y0) & (centres < box.y1))[:, None] & ((centres >= box.x0) & (centres < box.x1))
            for box in boxes
        ]
        return np.any(inside, axis=0) if inside else np.zeros((64, 64), bool)

    @staticmethod
    def iou(a, b):
        return (a & b).sum() / max((a | b).sum(), 1)

    def of(self, *names):
        return self.own[np.isin(self.groups, names)].mean()


@pytest.fixture(scope="module")
def agreement():
    return Agreement(320)


def test_readers_agree_as_far_as_the_radiologists_did(agreement):
    """The numbers are worked out from the tables of the paper's three radiologists, on 588 films."""
    assert len(agreement.own) == pytest.approx(588, abs=25)
    assert agreement.own.mean() == pytest.approx(0.613, abs=0.03)
    assert agreement.pairs.mean() == pytest.approx(0.388, abs=0.03)
    assert agreement.open == pytest.approx(50 / 638, abs=0.03)
    np.testing.assert_allclose(agreement.boxes, (2.0, 1.2, 1.2), atol=0.15)
    np.testing.assert_allclose(agreement.empty, (4 / 588, 109 / 588, 0), atol=0.05)


def test_readers_agree_least_about_arthritis(agreement):
    assert agreement.of("fracture", "plate") == pytest.approx(0.695, abs=0.05)
    assert agreement.of("arthritis") == pytest.approx(0.464, abs=0.05)
    assert agreement.of("mass") == pytest.approx(0.585, abs=0.15)  # of some twenty films


def test_a_steady_hand_draws_what_goes_around_the_lesions():
    steady = dict.fromkeys(("miss", "astray", "split", "merge", "spread", "shift"), (0.0,) * 3)
    exact = replace(PARAMETERS, **steady, thorough=(1.0,) * 3, grown=(1.0,) * 3, margin=0.0, doubt=(0.0,) * 4)
    for number in range(20):
        key = (5, 0, 2 * number + 1)
        shown = scene(key, 0, exact, True)
        drawn = reading(key, 0, shown, exact)
        edges = [(points + (0.5, 0)) * 512 for points in shown.boxes()]
        expected = [np.clip([*points.min(axis=0), *points.max(axis=0)], 0, 512) for points in edges]
        for boxes in drawn.values():
            found = [(box.x0, box.y0, box.x1, box.y1) for box in boxes]
            np.testing.assert_allclose(found, expected, atol=1e-9)


def test_what_is_slight_is_read_worse():
    """Every film is hard where each finding is as slight as can be, and none where each is as plain as can be."""
    hard = replace(PARAMETERS, doubt=(0.5,) * 4, severity=(0.0, 0.0), astray=(0.0,) * 3, miss=(0.0,) * 3)
    found = {0.0: 0, 1.0: 0}
    for number in range(30):
        key = (5, 0, 2 * number + 1)
        for severity in found:
            parameters = replace(hard, severity=(severity, severity))
            shown = scene(key, 0, parameters, True)
            truth = np.concatenate(shown.boxes()).mean(axis=0) * 512 + (256, 0)
            middles = [
                ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
                for boxes in reading(key, 0, shown, parameters).values()
                for box in boxes
            ]
            found[severity] += np.linalg.norm(np.mean(middles, axis=0) - truth)
    assert found[0.0] > 2 * found[1.0]


def test_the_card_is_drawn_as_it_says():
    split = LOADERS[CARD.loader].load(CARD, "test", 20, 32, 0)
    counts = CARD.counts["test"]
    assert split.present.sum() == round(20 * counts.positive / counts.images)
    groups = LOADERS[CARD.loader].groups(CARD, split.ids)
    assert groups == {name: patient_of(name) for name in split.ids}
    assert counts.positive == 588


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shares": (0.5, 0.5, 0.5, 0)}, "shares must add up to 1, not 1.5"),
        ({"conspicuity": (1.0, 1.0)}, "conspicuity needs 4 numbers, for fracture, plate, arthritis, mass, not 2"),
        ({"miss": (0.0, 1.0, 0.0)}, "miss of reader2 must lie between 0 and 0.9, not 1.0"),
        ({"cast": 2.0}, "cast must lie between 0 and 1, not 2.0"),
        ({"margin": -1.0}, "margin must lie between 0 and 0.2"),
    ],
)
def test_parameters_outside_their_range_are_refused(changes, message):
    with pytest.raises(SaltrustError, match=message):
        replace(PARAMETERS, **changes)


def test_what_the_loader_cannot_draw_is_refused():
    for update, message in (
        ({"truth": "box"}, "has truth 'mask', not 'box'"),
        ({"findings": ("a", "b")}, "knows one finding"),
        ({"classes": ("a", "b")}, "no 'classes'"),
    ):
        with pytest.raises(SaltrustError, match=message):
            LOADERS[CARD.loader].load(CARD.model_copy(update=update), "test", 2, 32, 0)
    with pytest.raises(SaltrustError, match="size must lie between"):
        radiograph((1,), 0, 8, PARAMETERS, True)
