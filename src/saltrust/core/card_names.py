"""What a card names and the project must know: architectures, their cascades, protocols.

Apart from `data_cards`, on which the images' artefacts depend: a new profile or protocol leaves stored images as they
are.
"""

from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.profiles import PROFILES
from saltrust.core.protocols import PROTOCOLS

FINE = ("inception_v3",)  # the architectures that have a finer cascade as well


def check_names(card: Card) -> None:
    """Raise SaltrustError for an architecture that no profile trains, a finer cascade that the main one does not have,
    and for a protocol that does not exist."""
    graded = card.truth == "graded"
    known = {name for one in PROFILES.values() for name in (one.branching.sizes if graded else one.architectures)}
    for name in () if card.models else card.networks:
        if name not in known:
            raise _in(card, unknown_name("network", name, known))
    if card.cascade == "fine" and not card.models and card.networks[0] not in FINE:
        why = f"of the first of the networks, {card.networks[0]}, no fine cascade is known, only of {', '.join(FINE)}"
        raise _in(card, SaltrustError(f"cascade: {why}"))
    for name in card.protocols:
        if name not in PROTOCOLS:
            raise _in(card, unknown_name("protocol", name, PROTOCOLS))


def _in(card: Card, error: SaltrustError) -> SaltrustError:
    return SaltrustError(f"card '{card.name}': {error}")
