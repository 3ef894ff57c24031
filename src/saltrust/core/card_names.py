"""What a card names and the project must know: architectures, protocols.

Apart from `data_cards`, on which the images' artefacts depend: a new profile or protocol leaves stored images as they
are.
"""

from saltrust.core.data_cards import Card
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.profiles import PROFILES
from saltrust.core.protocols import PROTOCOLS


def check_names(card: Card) -> None:
    """Raise SaltrustError for an architecture that no profile trains, and for a protocol that does not exist."""
    graded = card.truth == "graded"
    known = {name for one in PROFILES.values() for name in (one.branching.sizes if graded else one.architectures)}
    for name in () if card.models else card.networks:
        if name not in known:
            raise _in(card, unknown_name("network", name, known))
    for name in card.protocols:
        if name not in PROTOCOLS:
            raise _in(card, unknown_name("protocol", name, PROTOCOLS))


def _in(card: Card, error: SaltrustError) -> SaltrustError:
    return SaltrustError(f"card '{card.name}': {error}")
