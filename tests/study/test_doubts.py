"""Every doubt is a number for each image and finding, made from what it names, and from the validation images alone."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from saltrust.artefacts.networks import Trained
from saltrust.artefacts.store import Store
from saltrust.core.profiles import PROFILES
from saltrust.scores.uncertainty import disagreement, entropy
from saltrust.study.doubts import DOUBTS, artefacts, doubts_for
from saltrust.study.multilabel import JUDGED, MultilabelStudy, Shift
from saltrust.study.study import Study

K = 5


@pytest.fixture
def several(tmp_path, tiny_profile, monkeypatch):
    """Logits, features and maps' products in the place of a trained network's: two members, all known."""
    sizes = replace(PROFILES["smoke"].multilabel, size=32, train=30, val=40, test=20, members=2)
    rng = np.random.default_rng(0)
    with tiny_profile(multilabel=sizes):
        study = MultilabelStudy(Study("phantom-chest5", "tiny", store=Store(tmp_path)))
        records = {
            member.digest: {f"{s}_logits": (study.present(s) + rng.normal(size=(n, K))).tolist() for s, n in counts()}
            for member in study.members
        }
        made = {
            **{study.features_artefact(s).digest: rng.normal(size=(n, 6)) for s, n in (("train", 30), *counts())},
            **{study.products_artefact(s, "input_x_gradient").digest: _products(rng, n)[None] for s, n in counts()},
        }
        get = study.store.get
        known = {digest: Trained(record, None) for digest, record in records.items()} | made
        monkeypatch.setattr(
            study.store, "get", lambda one, **given: known[one.digest] if one.digest in known else get(one, **given)
        )
        yield study


def counts():
    return ("val", 40), ("test", 20)


def _products(rng, n):
    maps = rng.normal(size=(n, K, 12))
    return maps @ maps.swapaxes(1, 2)


FROM_RECORDS = ("entropy", "calibrated", "conformal", "ensemble", "neighbours", "learned", "margin", "norm", "lot")


@pytest.mark.parametrize("name", FROM_RECORDS)
@pytest.mark.parametrize("split", JUDGED)
def test_a_doubt_has_a_number_for_each_image_and_finding(several, name, split):
    found = DOUBTS[name].of(several, split)
    assert found.shape == (dict(counts())[split], K)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, DOUBTS[name].of(several, split))


@pytest.mark.parametrize("name", FROM_RECORDS)
def test_the_truth_of_the_test_images_counts_for_no_doubt(several, name, monkeypatch):
    before, present = DOUBTS[name].of(several, "test"), several.present
    monkeypatch.setattr(several, "present", lambda split: ~present(split) if split == "test" else present(split))
    np.testing.assert_array_equal(DOUBTS[name].of(several, "test"), before)


def test_members_disagree_by_their_probabilities(several):
    p = expit([several.logits("test", member) for member in (0, 1)])
    np.testing.assert_array_equal(DOUBTS["ensemble"].of(several, "test"), disagreement(p))
    assert (DOUBTS["ensemble"].of(several, "test") > 0).all()


def test_calibration_moves_the_most_doubtful_output_to_where_both_labels_are_as_frequent(several):
    """With a rare finding an output of 0 is far from doubtful, and the entropy of its raw probability is 1."""
    plain, found = entropy(expit(several.logits("test"))), DOUBTS["calibrated"].of(several, "test")
    orders = [not np.array_equal(np.argsort(plain[:, k]), np.argsort(found[:, k])) for k in range(K)]
    assert any(orders)


def test_a_regression_on_distances_finds_what_they_tell(several, monkeypatch):
    """Where two maps lie apart exactly in wrong answers to the first finding, the learned doubt tells them all."""
    wrong = {split: (several.predicted(split) != several.present(split))[:, 0] for split in JUDGED}

    def distances(split, method, **given):
        found = np.ones((len(wrong[split]), K, K))
        found[:, 0, 1] = found[:, 1, 0] = wrong[split] + np.random.default_rng(0).normal(0, 0.05, len(wrong[split]))
        return found + np.random.default_rng(1).normal(0, 0.01, found.shape)

    monkeypatch.setattr(several, "distances", distances)
    for split in JUDGED:
        doubt = DOUBTS["learned"].of(several, split)[:, 0]
        assert doubt[wrong[split]].min() > doubt[~wrong[split]].max()


def test_a_regression_is_not_learned_from_too_few_wrong_answers(several, monkeypatch):
    present = several.present
    said = several.predicted("val")
    monkeypatch.setattr(several, "predicted", lambda split: said if split == "val" else present(split))
    monkeypatch.setattr(several, "present", lambda split: said if split == "val" else present(split))
    assert np.isnan(DOUBTS["learned"].of(several, "test")).all()


def test_after_a_shift_a_doubt_names_what_it_is_made_from(several):
    shift = Shift("noise", 0.06)
    titles = {name: [one.title() for one in DOUBTS[name].artefacts(several, shift)] for name in DOUBTS}
    assert len(titles["ensemble"]) == 2
    for name in ("ixg", "copies", "norm", "random_network"):
        assert len(titles[name]) == 1
    assert several.data(shift).title() == "test images of phantom-chest5, noise 0.06"
    assert several.data(shift).count == several.sizes.shifted


def test_all_that_the_doubts_are_made_from_is_named_once_for_each_split(several):
    titles = [one.title() for one in artefacts(several)]
    assert sum("seed 2" in title for title in titles) == 2  # the other member, for both splits
    assert sum("features" in title for title in titles) == 6


def test_further_methods_raise_alarms_of_their_own(several):
    names = doubts_for(several, ["gradcam", "lrp", "grad"])
    assert list(names) == [*DOUBTS, "gradcam", "grad"]  # that of LRP is there already
    assert names["gradcam"].title == "maps alike, Grad-CAM"
    made = [one for one in artefacts(several, ["gradcam"]) if getattr(one, "method", "") == "gradcam"]
    assert [one.data.split for one in made] == list(JUDGED)
    assert {one.cam_min_grid for one in made} == {several.study.protocol.cam_min_grid}


def test_maps_that_use_no_layer_do_not_depend_on_its_grid(several):
    one = several.products_artefact("test", "input_x_gradient")
    assert replace(one, cam_min_grid=9).digest == one.digest
    cam = several.products_artefact("test", "gradcam")
    assert replace(cam, cam_min_grid=9).digest != cam.digest
