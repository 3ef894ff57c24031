"""One network with several outputs: which images, which names, and what its doubts are made from."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import entropy

from saltrust.artefacts.networks import Trained
from saltrust.artefacts.store import Store
from saltrust.core.errors import SaltrustError
from saltrust.core.profiles import PROFILES
from saltrust.study.doubts import DOUBTS, artefacts
from saltrust.study.multilabel import JUDGED, MultilabelStudy
from saltrust.study.study import Study


@pytest.fixture
def several(tmp_path, tiny_profile):
    sizes = replace(PROFILES["smoke"].multilabel, size=32, train=12, val=24, test=20)
    with tiny_profile(multilabel=sizes):
        yield MultilabelStudy(Study("phantom-chest5", "tiny", store=Store(tmp_path)))


def answered(several, monkeypatch, seed=0):
    """Logits in the place of a trained network's."""
    rng = np.random.default_rng(seed)
    record = {f"{split}_logits": rng.normal(size=several.present(split).shape).tolist() for split in JUDGED}
    known = several.network.digest
    get = several.store.get
    monkeypatch.setattr(
        several.store, "get", lambda one, **given: Trained(record, None) if one.digest == known else get(one, **given)
    )
    return {split: np.array(record[f"{split}_logits"]) for split in JUDGED}


def test_images_have_the_size_of_this_network_and_labels_of_every_finding(several):
    assert several.images.size == several.network.train.size == 32
    assert [several.network.train.count, several.network.val.count, several.network.test.count] == [12, 24, 20]
    assert several.present("test").shape == (20, 5)
    assert several.network.n_outputs == 5


def test_a_card_with_one_finding_is_refused(tmp_path):
    with pytest.raises(SaltrustError, match="'phantom-pneumonia' needs two 'findings' or more"):
        MultilabelStudy(Study("phantom-pneumonia", "smoke", store=Store(tmp_path)))


def test_thresholds_come_from_the_validation_images_and_answers_from_the_thresholds(several, monkeypatch):
    logits = answered(several, monkeypatch)
    for k, threshold in enumerate(several.thresholds):
        there = several.present("val")[:, k]
        said = logits["val"][:, k][:, None] >= np.append(logits["val"][:, k], np.inf)[None]
        index = said[there].mean(axis=0) - said[~there].mean(axis=0)
        own = logits["val"][:, k] >= threshold
        assert own[there].mean() - own[~there].mean() == pytest.approx(index.max())
    np.testing.assert_array_equal(several.predicted("test"), logits["test"] >= several.thresholds)


def test_doubts_of_the_output_alone(several, monkeypatch):
    logits = answered(several, monkeypatch)["test"]
    p = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(DOUBTS["entropy"].of(several, "test"), entropy([p, 1 - p], base=2, axis=0), atol=1e-12)
    reached = np.minimum(several.thresholds, np.array(several.logits("val")).max(axis=0))
    np.testing.assert_allclose(DOUBTS["margin"].of(several, "test"), -np.abs(logits - reached))
    assert np.isfinite(DOUBTS["margin"].of(several, "test")).all()
    lot = DOUBTS["lot"].of(several, "test")
    np.testing.assert_array_equal(lot, DOUBTS["lot"].of(several, "test"))
    assert not np.array_equal(lot[:20], DOUBTS["lot"].of(several, "val")[:20])


def test_maps_are_alike_where_the_doubt_is_large(several, monkeypatch):
    """Two outputs share a map in the first image; all five are at right angles in the second."""
    same = np.eye(5)
    same[0, 1] = same[1, 0] = 1
    both = np.stack([same, np.eye(5)])
    monkeypatch.setattr(several, "products", lambda split, method, random=False, preparation="signed": both)
    doubt = DOUBTS["ixg"].of(several, "test")
    np.testing.assert_allclose(doubt, [[-3, -3, -4, -4, -4], [-4] * 5])
    np.testing.assert_allclose(DOUBTS["norm"].of(several, "test"), -np.ones((2, 5)))


def test_all_that_the_doubts_are_made_from_is_named(several):
    names = {one.title() for one in artefacts(several)}
    assert sum("input_x_gradient" in name for name in names) == 2  # with trained weights, and random ones
    assert sum("lrp" in name for name in names) == 1
    assert sum("changed copies" in name for name in names) == 1
    digests = {several.products_artefact(split, "input_x_gradient", random).digest
               for split in JUDGED for random in (False, True)}  # fmt: skip
    assert len(digests) == 4
