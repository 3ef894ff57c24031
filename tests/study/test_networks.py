"""Three kinds of networks behind the same questions; models that were trained elsewhere: see publishing/test_assess."""

import pytest

from saltrust.artefacts.networks import Branch, Classifier
from saltrust.core import data_cards
from saltrust.core.errors import SaltrustError
from saltrust.study.networks import BranchedNetworks, PairedNetworks
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


@pytest.mark.parametrize("dataset", ["phantom-pneumothorax", "cells"])
def test_an_unknown_classifier_is_refused(dataset):
    with pytest.raises(SaltrustError, match="unknown classifier 'resnet-1'"):
        Study(dataset, "smoke").networks.trained("resnet-1")


def test_no_radiograph_is_mirrored_in_a_training():
    """A mirrored chest has its heart on the wrong side."""
    cards = {name: data_cards.load(name) for name in data_cards.names()}
    assert {name for name, card in cards.items() if card.mirror} == {"cells"}
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
