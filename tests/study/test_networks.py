"""Three kinds of networks behind the same questions; models that were trained elsewhere: see publishing/test_assess."""

from collections import OrderedDict
from types import SimpleNamespace

import pytest
from torch import nn

from saltrust.artefacts.networks import Branch, Classifier, Trained
from saltrust.core import data_cards
from saltrust.core.errors import SaltrustError
from saltrust.models.architectures import ARCHITECTURES
from saltrust.models.classifiers import build
from saltrust.models.external.stages import stages_of
from saltrust.study.networks import BranchedNetworks, ExternalNetworks, Networks, PairedNetworks
from saltrust.study.study import Study


def test_networks_trained_in_pairs():
    networks = Study("phantom-pneumothorax", "smoke").networks
    assert isinstance(networks, PairedNetworks)
    assert networks.classifiers == ("inception_v3-1", "inception_v3-2", "densenet121-1")
    assert networks.judged == (*networks.classifiers, "inception_v3-random")
    assert networks.title(networks.replicate) == "InceptionV3, replicate"
    first, second = (networks.artefact(name) for name in (networks.main, networks.replicate))
    assert isinstance(first, Classifier)
    assert (first.plan.seed, second.plan.seed) == (1, 2)
    assert first is networks.artefact(networks.main)
    assert networks.stages_in("bottom_up") == networks.stages[::-1]
    assert networks.refused(["grad"]) == {}


@pytest.mark.parametrize("dataset", ["phantom-pneumothorax", "cells"])
def test_a_full_run_draws_the_weights_of_three_networks_anew(dataset, monkeypatch):
    monkeypatch.setattr(Networks, "imagenet", lambda networks, architecture: None)
    networks = Study(dataset, "full").networks
    architecture = networks.architecture(networks.main)
    assert networks.replicates == tuple(f"{architecture}-{k}" for k in (1, 2, 3))
    assert networks.replicates[:2] == (networks.main, networks.replicate)
    assert networks.all_classifiers == (*networks.classifiers, f"{architecture}-3")
    assert set(networks.all_classifiers) <= set(networks.names)
    assert networks.judged == (*networks.classifiers, networks.random)  # the third is no network of its own question
    assert networks.title(networks.replicates[2]) == f"{networks.title(networks.main)}, replicate 3"
    assert len({networks.artefact(name).digest for name in networks.replicates}) == 3


def test_a_small_run_draws_those_of_the_main_network_alone():
    networks = Study("phantom-pneumothorax", "quick").networks
    assert networks.replicates == (networks.main,)
    assert networks.all_classifiers == networks.classifiers


def test_the_papers_cascade_ends_at_keras_mixed_1():
    """Its Fig. 3 has twelve stages: the original, the logits, and Mixed 10 to Mixed 1. Keras' blocks begin with 0."""
    networks = Study("phantom-pneumothorax", "smoke").networks
    shown = networks.stages[: networks.stages.index(networks.paper_end) + 1]
    assert len(shown) == 11
    assert shown[0] == "logits"
    blocks = [name for name, _ in build("inception_v3").named_children() if name.startswith("Mixed")]  # as they run
    assert shown[1:] == tuple(blocks[10:0:-1])
    assert networks.stages[len(shown) :] == (blocks[0], "stem")
    cells = Study("cells", "smoke").networks  # which the paper did not cascade
    assert cells.paper_end == cells.stages[-1]


def test_the_card_of_the_musculoskeletal_study_asks_for_its_cascade():
    """Of 17 stages, to the input; whatever a stage of the coarse cascade names is the same state in it."""
    networks, coarse = (Study(name, "smoke").networks for name in ("phantom-bones", "phantom-pneumothorax"))
    assert networks.stages[:12] == coarse.stages[:12]
    assert networks.stages[12:] == tuple(
        f"Conv2d_{layer}" for layer in ("4a_3x3", "3b_1x1", "2b_3x3", "2a_3x3", "1a_3x3")
    )
    assert networks.paper_end == networks.stages[-1]
    assert networks.stages_in("bottom_up") == networks.stages[::-1]
    assert networks.classifiers == ("inception_v3-1", "inception_v3-2", "densenet169-1")


def test_an_inception_from_elsewhere_has_the_papers_stage():
    body = build("inception_v3").eval()
    names = [stage.name for stage in stages_of(nn.Sequential(OrderedDict(body=body)), 80)]
    below = names[names.index(ARCHITECTURES["inception_v3"].paper_end) + 1 :]
    assert below[0] == "Mixed_5b"
    assert all(name.startswith("Conv2d") for name in below[1:])


def test_networks_trained_as_branches():
    networks = Study("cells", "smoke").networks
    assert isinstance(networks, BranchedNetworks)
    assert networks.deepened == ("alexnet+1", "alexnet+2")
    assert list(networks.branches("alexnet")) == [1, 2]
    assert list(networks.branches("alexnet+1")) == [1]
    first, second = (networks.artefact(name) for name in (networks.main, networks.replicate))
    assert isinstance(first, Branch)
    assert first.base == second.base
    assert networks.artefact("alexnet+2-1").base.start == networks.artefact("alexnet-1").base
    assert networks.size("alexnet+2-1") == networks.size("alexnet-1")
    assert networks.parameters == {"rectifiers": "gradient"}


def test_models_trained_elsewhere_are_replicates_of_the_first_by_their_architecture():
    models = {name: SimpleNamespace(architecture=name[0]) for name in ("a1", "b1", "a2", "a3", "a4")}
    images = SimpleNamespace(card=None, store=None, profile=SimpleNamespace(replicates=3))
    networks = ExternalNetworks(images, models)
    assert (networks.main, networks.replicate, networks.other) == ("a1", "a2", "b1")
    assert networks.replicates == ("a1", "a2", "a3")
    alone = ExternalNetworks(images, {"b1": models["b1"], "a1": models["a1"]})
    assert (alone.replicates, alone.replicate, alone.other) == (("b1",), None, "a1")


@pytest.mark.parametrize("dataset", ["phantom-pneumothorax", "cells"])
def test_an_unknown_classifier_is_refused(dataset):
    with pytest.raises(SaltrustError, match="unknown classifier 'resnet-1'"):
        Study(dataset, "smoke").networks.trained("resnet-1")


def test_no_chest_is_mirrored_in_a_training():
    """A mirrored chest has its heart on the wrong side; a mirrored hand is the other hand."""
    cards = {name: data_cards.load(name) for name in data_cards.names()}
    assert {name for name, card in cards.items() if card.mirror} == {"cells", "fracatlas", "fracatlas-tiles", "mura"}
    networks = Study("phantom-pneumothorax", "smoke").networks
    for mirror in (False, True):
        networks.card = networks.card.model_copy(update={"mirror": mirror})
        artefacts = networks._artefact(networks.main), networks.localizer_artefact.__wrapped__(1)
        assert [artefact.plan.mirror for artefact in artefacts] == [mirror, mirror]


def test_cells_may_be_mirrored():
    networks = Study("cells", "smoke").networks
    branch = networks.artefact(networks.main)
    assert (branch.plan.branch.mirror, branch.base.plan.base.mirror) == (True, True)
    networks.card = networks.card.model_copy(update={"mirror": False})
    assert not networks._base("alexnet").plan.base.mirror


@pytest.mark.parametrize("checksum", ["cafe", None])
def test_the_retinanet_of_the_paper_s_size_starts_from_imagenet_where_there_is_a_file(monkeypatch, checksum):
    asked = []
    monkeypatch.setattr(PairedNetworks, "imagenet", lambda networks, name: asked.append(name) or checksum)
    full = Study("phantom-pneumonia", "full").networks
    localizer = full.localizer_artefact(1)
    assert asked == ["resnet101"]
    assert (localizer.pretrained, localizer.plan.pretrained) == (checksum, checksum is not None)
    for dataset, profile in (("phantom-pneumothorax", "full"), ("phantom-pneumonia", "quick")):
        assert Study(dataset, profile).networks.localizer_artefact(1).pretrained is None
    assert asked == ["resnet101"]  # neither the U-Net nor a narrow RetinaNet has a body to fill


@pytest.mark.parametrize(
    ("dataset", "weights", "told"),
    [
        ("phantom-pneumonia", "imagenet", "imagenet"),
        ("phantom-pneumonia", "scratch", "scratch; the paper's from ImageNet (resnet101)"),
        ("phantom-pneumothorax", "scratch", "scratch"),
    ],
)
def test_where_localizers_start_is_told_beside_the_paper(monkeypatch, dataset, weights, told):
    networks = Study(dataset, "smoke").networks
    monkeypatch.setattr(networks, "localizer", lambda: Trained({"weights": weights}, None))
    assert networks.localizer_start == told
