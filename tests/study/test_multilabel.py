"""One network with several outputs: which images, which names, and what its doubts are made from."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from saltrust.artefacts.findings import MapProducts
from saltrust.artefacts.networks import Trained
from saltrust.artefacts.store import Store
from saltrust.core import data_cards, paths
from saltrust.core.data_cards import Model
from saltrust.core.errors import SaltrustError
from saltrust.core.profiles import PROFILES
from saltrust.study.doubts import DOUBTS, artefacts, doubts_for, missing
from saltrust.study.multilabel import JUDGED, MultilabelStudy, multilabel_study
from saltrust.study.study import Study

UNTRAINED = {"ensemble", "dropout", "neighbours"}  # doubts that need more than a network: its trainings, its head


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


NETS = """
import torch
from torch import nn

def net(norm=lambda: nn.BatchNorm2d(8), act=nn.ReLU):
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1), norm(), act(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 6)
    )
    names = ["Pleural Effusion", "Edema", "mass", "Consolidation", "Cardiomegaly", "Atelectasis"]
    return {"network": body, "size": 40, "channels": 1, "input_range": (0, 1), "classes": names}

def smooth(): return net(lambda: nn.GroupNorm(2, 8), nn.SiLU)
"""
ORDER = [5, 4, 3, 1, 0]  # where the card's findings are among these outputs


@pytest.fixture
def own(tmp_path, tiny_profile, monkeypatch):
    """A function from the name of a function to a study of its network."""
    monkeypatch.setattr(paths, "ASSESSED", tmp_path / "cards")
    (tmp_path / "nets.py").write_text(NETS)

    def of(function):
        card = data_cards.load("phantom-chest5")
        model = Model(source=f"{tmp_path}/nets.py:{function}", name=function)
        data_cards.save(data_cards.with_models(card, [model], f"own-{function}"), paths.ASSESSED)
        return multilabel_study(Study(f"own-{function}", "tiny", store=Store(tmp_path / "store")))

    with tiny_profile(multilabel=replace(PROFILES["smoke"].multilabel, size=32, val=24, test=20)):
        yield of


def outputs(images):
    """What the network of NETS says of pixels (n, h, w) in the card's order of findings."""
    namespace: dict = {}
    exec(NETS, namespace)
    network = namespace["net"]()["network"].eval()
    tensor = torch.from_numpy(images)[:, None].float().div(255).requires_grad_()
    return tensor, network(tensor)[:, ORDER]


def test_a_network_trained_elsewhere_gives_the_logits_of_the_findings(own):
    study = own("net")
    assert study.images.size == study.size == 40
    assert study.origin() == "net was trained elsewhere."
    assert study.no_training
    for split in JUDGED:
        logits = outputs(study.split(split).pixels)[1].detach()
        np.testing.assert_allclose(study.logits(split), logits, atol=1e-5)
    assert study.network.n_outputs == 5
    assert "train" not in {one.split for one in study.network.upstream()}


def test_its_maps_are_those_of_its_own_outputs(own):
    """Input × gradient of a network that takes grey: the three channels of a film share one gradient."""
    study = own("net")
    tensor, logits = outputs(study.split("test").pixels)
    gradients = [torch.autograd.grad(logits[:, k].sum(), tensor, retain_graph=True)[0] for k in range(5)]
    maps = torch.stack([tensor * one / 3 for one in gradients]).detach().flatten(2).double()
    wanted = 3 * torch.einsum("inp,jnp->nij", maps, maps)
    found = study.products("test", "input_x_gradient")
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5 * float(wanted.max()))
    assert not np.allclose(found, study.products("test", "input_x_gradient", random=True))
    assert study.store.get(study.copies_artefact("test")).shape == (study.sizes.copies, 20, 5)


def test_what_a_method_cannot_explain_is_missing(own):
    study = own("smooth")
    assert set(missing(study)) == {"lrp", *UNTRAINED}
    assert "no rule for 'group_norm'" in missing(study)["lrp"]
    assert doubts_for(study).keys() == DOUBTS.keys() - {"lrp", *UNTRAINED}
    methods = {one.method for one in artefacts(study) if isinstance(one, MapProducts)}
    assert methods == {"input_x_gradient"}
    assert missing(own("net")).keys() == UNTRAINED


def test_a_doubt_may_need_what_only_a_network_trained_here_has(own, tmp_path):
    assert missing(own("net")) == dict.fromkeys(UNTRAINED, "it was trained elsewhere")
    here = multilabel_study(Study("phantom-chest5", "tiny", store=Store(tmp_path)))
    assert type(here) is MultilabelStudy
    assert missing(here) == {}
    assert doubts_for(here).keys() == DOUBTS.keys()


@pytest.mark.parametrize(
    ("protocol", "method"), [("corrected", "lrp"), ("published", "captum:lrp"), ("as_run", "captum:lrp")]
)
def test_the_protocol_says_whose_lrp_an_alarm_compares(protocol, method, tmp_path):
    study = multilabel_study(Study("phantom-chest5", "smoke", protocol, store=Store(tmp_path)))
    assert DOUBTS["lrp"].artefacts(study, "test") == (study.products_artefact("test", method),)
    assert DOUBTS["ixg"].artefacts(study, "test") == (study.products_artefact("test", "input_x_gradient"),)
    assert study.products_artefact("test", method).method == method


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
