"""Utility: does a map find the abnormality? (Arun et al., Results, Localization Utility)"""

from collections.abc import Callable, Iterable

import pandas as pd

from saltrust.artefacts.artefact import Artefact
from saltrust.artefacts.scores import LocalizationScores
from saltrust.core.protocols import Protocol


def localization(
    get: Callable, maps: Iterable[tuple[str, str, Artefact]], protocol: Protocol, score: str = "auprc"
) -> pd.DataFrame:
    """Score of every map against its image's truth: columns image, method, model, <score>.

    maps: (method, model, maps spec) for each set of maps, controls and localizers among them. score: "auprc" by the
    protocol's definition, or a name in LOCALIZATION.
    """
    definition = protocol.auprc if score == "auprc" else score
    frames = []
    for method, model, spec in maps:
        values = get(LocalizationScores(spec, protocol.localization, definition))
        ids = get(spec.data).ids[list(spec.images)]
        frames.append(pd.DataFrame({"image": ids, "method": method, "model": model, score: values}))
    return pd.concat(frames, ignore_index=True)
