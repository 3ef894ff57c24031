"""Compute what a plan lacks. Any number of processes may do so at once: the locks of the store settle who does what."""

from collections.abc import Sequence

from saltrust.artefacts import Artefact
from saltrust.artefacts.maps import MapsOfNetwork, in_order
from saltrust.artefacts.sidecar import StorageError
from saltrust.artefacts.store import Store
from saltrust.core.progress import say


def compute(artefacts: Sequence[Artefact]) -> list[str]:
    """Compute these, maps of one network one after the other.

    Returns:
        What could not be computed, and why: that is no error here, the chapter that needs it tells its reader.

    Raises:
        StorageError: where nothing can be stored.
    """
    store, failed = Store(), []
    store.begin()  # until the end nothing is collected that this process has made
    maps = [one for one in artefacts if isinstance(one, MapsOfNetwork)]
    for artefact in [*(one for one in artefacts if not isinstance(one, MapsOfNetwork)), *in_order(maps)]:
        try:
            store.get(artefact, remember=False)
        except StorageError:  # no other artefact could be kept either
            raise
        except Exception as error:
            failed.append(f"{artefact.title()} cannot be computed: {type(error).__name__}: {error}")
            say(failed[-1])
    return failed
