"""What a finding of the audit is: a place where a paper's text and its authors' code part, or its own numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from saltrust.artefacts import Artefact
from saltrust.artefacts.maps import SaliencyMaps
from saltrust.artefacts.scores import LocalizationScores
from saltrust.core.protocols import Preparation
from saltrust.study.study import Study

ARUN, TJOA, VENKATESH, ADEBAYO = "Arun et al.", "Tjoa & Guan", "Venkatesh et al.", "Adebayo et al."
SHU = "Shu et al."

Demonstration = Callable[[Study], tuple[float, float]]
Needed = Callable[[Study], Sequence[Artefact]]


@dataclass(frozen=True)
class Finding:
    """A place where text and code part; or, of a paper without public code, the text and its own numbers.

    Attributes:
        name: of the finding, in tables and tests.
        paper: whose text and code, or which library.
        title: the finding, for a table.
        text: what the text says.
        code: what the code did; without public code, what the paper's numbers give, or what its test does elsewhere.
        measure: what is measured.
        demonstrate: study -> the measure as in the text, and as in the code.
        maps: study -> the maps or images that it needs beside the maps of the paper's methods on the main network and
            its replicate.
    """

    name: str
    paper: str
    title: str
    text: str
    code: str
    measure: str
    demonstrate: Demonstration
    maps: Needed


def finding(
    paper: str, title: str, *, text: str, code: str, measure: str, maps: Needed = lambda study: ()
) -> Callable[[Demonstration], Finding]:
    """Make a demonstration the finding of its name; `table.FINDINGS` lists all of them."""
    return lambda demonstrate: Finding(demonstrate.__name__, paper, title, text, code, measure, demonstrate, maps)


def mean_utility(study: Study, maps: SaliencyMaps, preparation: Preparation | None = None) -> float:
    """Mean average precision of some maps.

    Args:
        study: whose protocol and store are used.
        maps: an artefact of its.
        preparation: of the maps, None for the protocol's.
    """
    scores = LocalizationScores(maps, preparation or study.protocol.localization, "average_precision")
    return np.nanmean(study.store.get(scores))
