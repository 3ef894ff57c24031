"""Two networks on the same crossed test images: who is explained, what their logits and scores are of."""

import numpy as np
import pytest

from saltrust.artefacts.networks import Trained
from saltrust.artefacts.store import Store
from saltrust.core import data_cards
from saltrust.core.errors import SaltrustError
from saltrust.methods.controls import sobel
from saltrust.methods.preparation import prepare
from saltrust.scores.auprc import average_precision
from saltrust.scores.precedence import precedence
from saltrust.study.shortcut import STATES, ShortcutStudy
from saltrust.study.study import Study


@pytest.fixture
def study(tmp_path, tiny_profile):
    with tiny_profile(train=8, val=4, test=20, explained=3):
        yield Study("phantom-shortcut", "tiny", store=Store(tmp_path))


@pytest.fixture
def two(study):
    return ShortcutStudy(study)


def test_the_two_have_the_same_test_images_and_other_networks(two):
    first, second = two.studies.values()
    assert (first.card.name, second.card.name) == ("phantom-shortcut", "phantom-no-shortcut")
    assert (first.profile, first.protocol, first.seed, first.store) == (
        second.profile,
        second.protocol,
        second.seed,
        second.store,
    )
    assert len(two.test) == 20
    names = [study.networks.artefact(study.networks.main) for study in two.studies.values()]
    assert names[0].plan == names[1].plan  # what differs is what they learn from
    assert names[0].digest != names[1].digest


def test_patients_are_spread_and_each_is_explained_where_it_shows_something(two):
    assert two.explained == (0, 2, 4)
    assert two.images == (1, 2, 3, 9, 10, 11, 17, 18, 19)
    ids = two.test.ids[list(two.images)]
    assert ids[3:6].tolist() == ["test-00002-tube", "test-00002-finding", "test-00002-both"]
    assert two.image(4, "both") == 19


def test_images_of_one_patient_are_resampled_together(two):
    images = two.studies["shortcut"].images
    assert images.unit == "patient"
    assert images.clusters["test-00002-both"] == images.clusters["test-00002-clear"] == "test-00002"
    assert len(set(images.clusters.values())) == 5
    assert Study("phantom-pneumothorax", "smoke").images.clusters is None


def test_logits_are_by_patient_and_state(two, monkeypatch):
    numbers = np.arange(20.0)
    for training, study in two.studies.items():
        scores = (numbers + (100 if training == "control" else 0)).tolist()
        monkeypatch.setattr(study.networks, "trained", lambda scores=scores: Trained({"test_scores": scores}, None))
    logits = two.logits().set_index(["training", "patient"])
    assert list(logits) == list(STATES)
    assert logits.loc[("shortcut", "test-00001")].tolist() == [4, 5, 6, 7]
    assert logits.loc[("control", "test-00004")].tolist() == [116, 117, 118, 119]


def test_scores_are_those_of_each_map_against_each_mask(two):
    """Oracle: edges of the images, prepared and scored here one by one. No network has a part in them."""
    preparation = two.studies["shortcut"].protocol.localization
    edges = prepare(sobel(two.test.pixels, [()] * 20, {}).astype(np.float32), "sum", preparation.clip)
    masks = {"finding": two.test.findings.truth("pneumothorax"), "tube": two.test.findings.truth("tube")}
    auprc = two.auprc(["sobel"])
    assert set(zip(auprc["seen"], auprc["mask"], strict=True)) == {
        ("tube", "tube"),
        ("finding", "finding"),
        ("both", "tube"),
        ("both", "finding"),
    }
    assert len(auprc) == 2 * 4 * 3
    for row in auprc.itertuples():
        index = np.flatnonzero(two.test.ids == f"{row.image}-{row.seen}").item()
        assert row.auprc == pytest.approx(average_precision(edges[index], masks[row.mask][index]))
    above = two.precedence(["sobel"])
    assert len(above) == 2 * 3
    for row in above.itertuples():
        index = np.flatnonzero(two.test.ids == f"{row.image}-both").item()
        assert row.precedence == pytest.approx(precedence(edges[index], masks["tube"][index], masks["finding"][index]))


def test_maps_are_shown_by_state(two):
    shown = two.display("control", "sobel", 2)
    assert list(shown) == ["tube", "finding", "both"]
    whole = two.studies["control"].maps.displayed(two.artefact("control", "sobel"))
    np.testing.assert_array_equal(np.stack(list(shown.values())), whole[3:6])


def test_cards_that_do_not_go_together_are_refused(study, monkeypatch):
    load = data_cards.load
    changes = {}

    def changed(name):
        card = load(name)
        return card.model_copy(update=changes) if name == "phantom-no-shortcut" else card

    monkeypatch.setattr(data_cards, "load", changed)
    parameters = load("phantom-no-shortcut").parameters
    changes |= {"parameters": parameters | {"crossed": []}}
    with pytest.raises(SaltrustError, match="'phantom-no-shortcut': its test split is not crossed"):
        ShortcutStudy(study)
    changes |= {"parameters": parameters, "networks": ("densenet121", "inception_v3")}
    with pytest.raises(SaltrustError, match="must have the same networks and finding"):
        ShortcutStudy(study)
    changes.pop("networks")
    changes |= {"parameters": parameters | {"noise": 2.0}}
    with pytest.raises(SaltrustError, match="must have the same test images: only training may differ"):
        _ = ShortcutStudy(study).test
    with pytest.raises(SaltrustError, match="'phantom-pneumothorax' names no 'shortcut_control'"):
        ShortcutStudy(Study("phantom-pneumothorax", "tiny", store=study.store))
