"""What a card names is known to the project: every card's networks and protocols are."""

import pytest

from saltrust.core import data_cards
from saltrust.core.card_names import FINE, check_names
from saltrust.core.errors import SaltrustError
from saltrust.models.architectures import ARCHITECTURES


@pytest.mark.parametrize("name", data_cards.names())
def test_the_projects_cards_name_what_there_is(name):
    check_names(data_cards.load(name))


def test_networks_are_those_that_are_trained_for_the_truth():
    cells = data_cards.load("cells")
    with pytest.raises(
        SaltrustError, match="card 'cells': unknown network 'densenet121'; known: alexnet, resnet34, vgg"
    ):
        check_names(cells.model_copy(update={"networks": ("alexnet", "densenet121")}))
    with pytest.raises(SaltrustError, match="unknown protocol 'as_rnu'; did you mean 'as_run'"):
        check_names(cells.model_copy(update={"protocols": {"as_rnu": {}}}))


def test_a_fine_cascade_is_known_of_the_network_that_it_is_asked_of():
    bones = data_cards.load("phantom-bones")
    other = bones.model_copy(update={"networks": ("densenet169", "inception_v3")})
    with pytest.raises(SaltrustError, match="cascade: of the first of the networks, densenet169, no fine cascade is"):
        check_names(other)
    check_names(other.model_copy(update={"models": (data_cards.Model(source="a.py:load", name="a"),)}))
    assert set(FINE) == {name for name, architecture in ARCHITECTURES.items() if architecture.fine_stages}


def test_a_card_of_models_trains_no_networks():
    models = (data_cards.Model(source="a.py:load", name="a"),)
    check_names(data_cards.load("cells").model_copy(update={"networks": ("a", "b"), "models": models}))
