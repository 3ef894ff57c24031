"""What each method costs, and whether its maps are whole."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from saltrust.methods.registry import METHODS
from saltrust.scores.auprc import average_precision


def mean_auprc(maps: np.ndarray, truth: np.ndarray) -> float:
    """Mean AUPRC (average precision) of some maps.

    Args:
        maps: (n, height, width), any real numbers.
        truth: (n, height, width), boolean.

    >>> truth = np.array([[[True, False]], [[True, False]]])
    >>> mean_auprc(np.array([[[1.0, 0.0]], [[0.0, 1.0]]]), truth)
    0.75
    """
    return sum(average_precision(values, true) for values, true in zip(maps, truth, strict=True)) / len(maps)


def cost_table(
    parameters: Mapping[str, Mapping[str, object]],
    seconds: Mapping[str, float],
    auprc: Mapping[str, float],
    faults: pd.DataFrame,
) -> pd.DataFrame:
    """What each method costs and what its maps are worth.

    Args:
        parameters: Of each method, by its name.
        seconds: For one image, by method.
        auprc: Mean AUPRC, by method.
        faults: Columns method, not_finite, constant, empty (numbers of maps) and residual, a row for each method.

    Returns:
        One row for each method: method, family, passes (runs of the network for each image; missing where it depends on
        the network), backward, seconds, auprc, faults (maps that cannot be read), residual.

    >>> columns = ["method", "not_finite", "constant", "empty", "residual"]
    >>> faults = pd.DataFrame([("ig", 0, 0, 1, 0.01)], columns=columns)
    >>> cost_table({"ig": {"steps": 25, "baseline": "black"}}, {"ig": 0.5}, {"ig": 0.2}, faults)["faults"].tolist()
    [1]
    """
    faults = faults.set_index("method")
    rows = []
    for name, given in parameters.items():
        method = METHODS[name]
        rows.append(
            {
                "method": name,
                "family": method.family,
                "passes": method.passes(given) or (0 if method.family == "control" else None),
                "backward": method.backward,
                "seconds": seconds[name],
                "auprc": auprc[name],
                "faults": int(faults.loc[name, ["not_finite", "constant", "empty"]].sum()),
                "residual": faults.loc[name, "residual"],
            }
        )
    return pd.DataFrame(rows).astype({"passes": "Int64"})
