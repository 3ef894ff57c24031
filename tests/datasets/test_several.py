"""The phantom with five findings: each exactly where its mask says, as often as asked, and alone in what it changes."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from saltrust.core import data_cards
from saltrust.core.errors import SaltrustError
from saltrust.datasets.loaders import LOADERS
from saltrust.datasets.phantom import lung_fields
from saltrust.datasets.phantom.confounders import MIMICS
from saltrust.datasets.phantom.parameters import PhantomParameters
from saltrust.datasets.phantom.several import (
    DRAWN_AS,
    LOOK_ALIKES,
    NAMES,
    SeveralParameters,
    load,
    present,
    radiograph,
    reported,
)

NONE = (False,) * 5
ALL = (True,) * 5
KEYS = [(7, 0, index) for index in range(5)]
DRAWS = 600

# Pixels, at 96, by which the influence of a finding exceeds its mask, as in test_phantom: blur and soft edges. Edema
# may change both lungs and what lies between them, an effusion its side.
INFLUENCE = {"Atelectasis": 12, "Cardiomegaly": 15, "Consolidation": 24, "Edema": 3, "Pleural Effusion": 3}


def alone(name):
    return [name == other for other in NAMES]


def without(name):
    return [name != other for other in NAMES]


def strays(p, draws=DRAWS):
    """What a binomial frequency strays from p by once in ten thousand times or less."""
    return 4 * np.sqrt(np.asarray(p) * (1 - np.asarray(p)) / draws)


def drawn(parameters, at_least_one=False, draws=DRAWS):
    return np.array([present((3, 0, index), parameters, at_least_one) for index in range(draws)])


def test_the_findings_are_those_of_the_paper():
    assert NAMES == ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")
    assert set(LOOK_ALIKES) <= set(MIMICS)
    assert not set(LOOK_ALIKES) & set(DRAWN_AS.values())  # would be drawn in films that are labelled free of it


def test_same_key_same_film():
    first, again = (radiograph((3, 1, 4), 64, SeveralParameters(), ALL) for _ in range(2))
    np.testing.assert_array_equal(first.pixels, again.pixels)
    np.testing.assert_array_equal(first.masks, again.masks)
    assert first.attributes == again.attributes
    assert (radiograph((3, 1, 5), 64, SeveralParameters(), ALL).pixels != first.pixels).mean() > 0.5


def test_a_mask_is_empty_where_its_finding_is_not_drawn_and_only_there():
    for index in range(64):
        findings = [bool(index >> bit & 1) for bit in range(5)]
        image = radiograph((2, 0, index), 32, SeveralParameters(severity=(0, 1)), findings)
        assert image.masks.any(axis=(1, 2)).tolist() == findings
        assert [name in image.attributes for name in NAMES] == findings


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("others", [False, True])
def test_a_finding_changes_the_film_only_where_it_may(name, others):
    """Alone, and among all the others."""
    parameters, position = SeveralParameters(conspicuity=(1.5,) * 5), NAMES.index(name)
    for key in KEYS:
        ill = radiograph(key, 96, parameters, ALL if others else alone(name))
        well = radiograph(key, 96, parameters, without(name) if others else NONE)
        changed = ill.pixels != well.pixels
        # alone: a larger heart covers part of the mask, and what it covers shines through
        mask = radiograph(key, 96, parameters, alone(name)).masks[position]
        if not others:  # under fluid, the rest may change little
            assert changed[mask].mean() > 0.25
        near = ndimage.binary_dilation(mask, iterations=INFLUENCE[name])
        if name == "Edema":
            lungs = ndimage.binary_dilation(lung_fields(key, 96, PhantomParameters()), iterations=3)
            near |= np.logical_or.accumulate(lungs, 1) & np.logical_or.accumulate(lungs[:, ::-1], 1)[:, ::-1]
        if name == "Pleural Effusion":
            near |= (np.arange(96) < 57) if ill.attributes[name]["side"] == "right" else (np.arange(96) > 39)
        assert not changed[~near].any()


@pytest.mark.parametrize("name", NAMES)
def test_a_finding_leaves_the_masks_of_the_others(name):
    """But for a heart, which takes from them what lies behind it."""
    position = NAMES.index(name)
    for key in KEYS:
        ill, well = (radiograph(key, 96, SeveralParameters(), findings) for findings in (ALL, without(name)))
        others = np.delete(ill.masks, position, axis=0), np.delete(well.masks, position, axis=0)
        if name == "Cardiomegaly":
            assert not (others[0] & ill.masks[position]).any()
            np.testing.assert_array_equal(others[0], others[1] & ~ill.masks[position])
        else:
            np.testing.assert_array_equal(*others)


def test_a_film_without_findings_is_a_healthy_chest_with_its_devices():
    parameters = SeveralParameters(tube=1, leads=1, marker=1, mimic=1)
    image = radiograph((1, 0, 0), 64, parameters, NONE)
    assert not image.masks.any()
    assert image.attributes["tube"]
    assert image.attributes["leads"]
    assert image.attributes["marker"] in ("L", "R")
    assert image.attributes["mimic"] in LOOK_ALIKES
    bare = radiograph((1, 0, 0), 64, replace(parameters, tube=0, leads=0, marker=0, mimic=0), NONE)
    assert (bare.pixels != image.pixels).any()


@pytest.mark.parametrize("together", [0, 0.4, 1])
def test_findings_are_as_frequent_as_asked_however_much_they_go_together(together):
    parameters = SeveralParameters(together=together)
    found = drawn(parameters)
    assert (np.abs(found.mean(axis=0) - parameters.prevalences) < strays(parameters.prevalences)).all()
    expected = parameters.share_with_any()
    assert abs(found.any(axis=1).mean() - expected) < strays(expected)
    assert parameters.expected("train", 1000) == round(1000 * expected)


def test_findings_are_independent_or_go_together():
    def both(together):
        found = drawn(SeveralParameters(together=together)).astype(float)
        return found.T @ found / len(found)

    expected = np.outer(*[SeveralParameters().prevalences] * 2)
    apart = ~np.eye(5, dtype=bool)
    assert (np.abs(both(0) - expected) < strays(expected))[apart].all()
    means = [both(together)[apart].mean() for together in (0, 0.3, 0.6, 1)]
    assert means == sorted(means)
    assert means[1] > 1.2 * means[0]
    nested = drawn(SeveralParameters(together=1))  # the rarer only with the more frequent
    order = np.argsort(SeveralParameters().prevalences)
    assert all((nested[:, rare] <= nested[:, common]).all() for rare, common in zip(order, order[1:], strict=False))


def test_a_finding_that_nobody_or_everybody_has():
    parameters = SeveralParameters(prevalences=(0, 1, 0, 1, 0), together=0.5)
    assert (drawn(parameters, draws=50) == (False, True, False, True, False)).all()
    assert parameters.share_with_any() == pytest.approx(1)
    nobody = SeveralParameters(prevalences=(0,) * 5)
    assert not drawn(nobody, draws=50).any()
    assert nobody.share_with_any() == pytest.approx(0)


def test_where_every_film_shows_a_finding_each_is_more_frequent():
    parameters = SeveralParameters()
    all_films, filtered = drawn(parameters), drawn(parameters, at_least_one=True)
    assert filtered.any(axis=1).all()
    expected = np.array(parameters.prevalences) / parameters.share_with_any()
    assert (np.abs(filtered.mean(axis=0) - expected) < strays(expected)).all()
    shown = all_films.any(axis=1)
    np.testing.assert_array_equal(filtered[shown], all_films[shown])  # what shows one is not drawn again


def test_load_is_a_list_of_radiographs():
    parameters = SeveralParameters(at_least_one=("val",), label_noise=0.5)
    split = load(parameters, "val", 12, 48, 9)
    assert split.ids[[0, 11]].tolist() == ["val-00000", "val-00011"]
    assert (split.classes, split.absent, split.boxes.shape) == (("without", "with"), 0, (0, 5))
    assert split.labels.tolist() == [1] * 12
    assert split.findings.names == NAMES
    for index in range(12):
        findings = present((9, 1, index), parameters, at_least_one=True)
        film = radiograph((9, 1, index), 48, parameters, findings)
        np.testing.assert_array_equal(split.pixels[index], film.pixels)
        np.testing.assert_array_equal(split.truth[index], film.masks.any(axis=0))
        np.testing.assert_array_equal(split.findings.present[index], findings)
        for name, mask in zip(NAMES, film.masks, strict=True):
            np.testing.assert_array_equal(split.findings.truth(name)[index], mask)
    fewer = load(parameters, "val", 3, 48, 9)
    np.testing.assert_array_equal(fewer.pixels, split.pixels[:3])


def test_seeds_and_splits_share_no_film():
    films = [
        load(SeveralParameters(), split, 2, 32, seed).pixels for split in ("train", "val", "test") for seed in (0, 1)
    ]
    assert len(np.unique(np.concatenate(films).reshape(12, -1), axis=0)) == 12


def test_labels_are_wrong_in_training_alone_and_masks_never():
    clean, noisy = SeveralParameters(), SeveralParameters(label_noise=0.3)
    for split in ("train", "val", "test"):
        right, wrong = (load(parameters, split, 20, 32, 0) for parameters in (clean, noisy))
        np.testing.assert_array_equal(right.pixels, wrong.pixels)
        np.testing.assert_array_equal(right.labels, wrong.labels)
        np.testing.assert_array_equal(right.truth, wrong.truth)
        np.testing.assert_array_equal(right.findings.bits, wrong.findings.bits)
        assert (right.findings.present != wrong.findings.present).any() == (split == "train")
        there = np.stack([right.findings.truth(name).any(axis=(1, 2)) for name in NAMES], axis=1)
        np.testing.assert_array_equal(right.findings.present, there)
        np.testing.assert_array_equal(right.labels, there.any(axis=1))


@pytest.mark.parametrize("noise", [0, 0.1, 1])
def test_labels_are_wrong_as_often_as_asked(noise):
    truth, parameters = np.array([True, False, True, False, False]), SeveralParameters(label_noise=noise)
    flips = np.array([reported((4, 0, index), parameters, truth) != truth for index in range(DRAWS)])
    assert (np.abs(flips.mean(axis=0) - noise) <= strays(noise)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prevalences": (0.1, 0.2)}, "prevalences needs 5 numbers, for Atelectasis, .*, Pleural Effusion, not 2"),
        ({"prevalences": (0.1, 0.2, 1.3, 0.2, 0.2)}, "prevalences of Consolidation must lie between 0 and 1, not 1.3"),
        ({"conspicuity": (1, 1, 1, 1, 5)}, "conspicuity of Pleural Effusion must lie between 0 and 4, not 5"),
        ({"together": -0.1}, "together must lie between 0 and 1, not -0.1"),
        ({"label_noise": 2}, "label_noise must lie between 0 and 1, not 2"),
        ({"tube": float("nan")}, "tube must lie between 0 and 1, not nan"),
        ({"severity": (0.7, 0.2)}, "severity must be"),
        ({"framing": 0.5}, "framing must lie between 0 and 0.4"),
        ({"at_least_one": ("tset",)}, "unknown split 'tset'; did you mean 'test'"),
        ({"at_least_one": ("test",), "prevalences": (0.001,) * 5}, "prevalences that give 1% of films a finding"),
    ],
)
def test_bad_parameters_are_refused(change, message):
    with pytest.raises(SaltrustError, match=message):
        SeveralParameters.of(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prevalence": 0.2}, "unknown phantom parameter 'prevalence'; did you mean 'prevalences'"),
        ({"conspicuity": 1.0}, r"phantom: conspicuity: .*tuple"),
        ({"prevalences": [0.1, 0.1, "0.1", 0.1, 0.1]}, r"phantom: prevalences\[2\]: .*number"),
    ],
)
def test_parameters_of_another_type_are_refused(change, message):
    with pytest.raises(SaltrustError, match=message):
        SeveralParameters.of(**change)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("trian", 2, 32, 0), "did you mean 'train'"),
        (("train", 0, 32, 0), "count"),
        (("train", 2, 8, 0), "size must lie between"),
        (("train", 2, 32, -1), "seed"),
    ],
)
def test_bad_requests_are_refused(arguments, message):
    with pytest.raises(SaltrustError, match=message):
        load(SeveralParameters(), *arguments)


def test_a_film_has_or_has_not_each_of_five_findings():
    with pytest.raises(SaltrustError, match="each of 5 findings, not of 2"):
        radiograph((0, 0, 0), 32, SeveralParameters(), [True, False])


def test_the_card_draws_its_splits():
    card = data_cards.load("phantom-chest5")
    draw = LOADERS[card.loader].load
    train, val, test = (draw(card, split, 40, 32, 0) for split in ("train", "val", "test"))
    assert card.findings == train.findings.names == NAMES
    assert set(train.labels) == {0, 1}
    assert val.labels.all()
    assert test.labels.all()
    assert (train.findings.present.any(axis=1) != train.labels.astype(bool)).any()  # labels as reports give them
    np.testing.assert_array_equal(test.truth.any(axis=(1, 2)), test.labels == 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"findings": NAMES[::-1]}, "draws the findings Atelectasis, Cardiomegaly, Consolidation, Edema, Pleural"),
        ({"findings": (), "classes": ("a", "b")}, "draws the findings"),
        ({"truth": "box"}, "has truth 'mask', not 'box'"),
    ],
)
def test_a_card_that_asks_for_something_else_is_refused(changes, message):
    card = data_cards.load("phantom-chest5").model_copy(update=changes)
    with pytest.raises(SaltrustError, match=message):
        LOADERS[card.loader].load(card, "test", 2, 32, 0)


def test_the_counts_of_a_card_are_what_its_parameters_lead_to_expect():
    card = data_cards.load("phantom-chest5")
    other = card.model_copy(update={"parameters": card.parameters | {"together": 0.9}})
    message = "of 90839 images of split 'train', [0-9]+ are expected to have a finding with these parameters, not 65221"
    with pytest.raises(SaltrustError, match=message):
        LOADERS[card.loader].load(other, "test", 2, 32, 0)
