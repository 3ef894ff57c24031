"""Utility: does a map find the abnormality? (Arun et al., Results, Localization Utility)"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from saltrust.artefacts import UtilitySpec
from saltrust.protocols import Protocol
from saltrust.scores.auprc import AUPRC
from saltrust.specs import Spec


def localization(get: Callable, maps: Iterable[tuple[str, str, Spec]], protocol: Protocol) -> pd.DataFrame:
    """AUPRC of every map against its image's truth: columns image, method, model, auprc.

    maps: (method, model, maps spec) for each set of maps, controls and localizers among them. A control named
    "constant" is added: what a map that says nothing scores on the same images.
    """
    maps = list(maps)
    frames = [
        _rows(get, spec, method, model, get(UtilitySpec(spec, protocol.localization, protocol.auprc)))
        for method, model, spec in maps
    ]
    spec = maps[0][2]
    score = AUPRC[protocol.auprc]
    truth = get(spec.data).truth[list(spec.images)]
    frames.append(_rows(get, spec, "constant", "control", np.array([score(np.zeros(t.shape), t) for t in truth])))
    return pd.concat(frames, ignore_index=True)


def _rows(get: Callable, spec: Spec, method: str, model: str, scores: np.ndarray) -> pd.DataFrame:
    ids = get(spec.data).ids[list(spec.images)]
    return pd.DataFrame({"image": ids, "method": method, "model": model, "auprc": scores})
