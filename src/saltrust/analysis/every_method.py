"""Every method on a few images: its variants, what it costs, and whether its maps are whole."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from saltrust.analysis.words import listed
from saltrust.artefacts.maps import SaliencyMaps
from saltrust.methods.registry import METHODS
from saltrust.scores.auprc import average_precision
from saltrust.study.study import Study

VARIANTS = {
    "IG black": ("ig", {"baseline": "black"}),
    "IG white": ("ig", {"baseline": "white"}),
    "IG both": ("ig", {"baseline": "black+white"}),
    "IG blur": ("ig", {"baseline": "blur"}),
    "SG mean": ("smoothgrad", {"power": 1}),
    "SG squares": ("smoothgrad", {"power": 2}),
}
"""(method, parameters) by label."""

RULES = {
    "riemann_middle": "middle of equal steps",
    "riemann": "equal points, both ends",
    "gauss_legendre": "Gauss-Legendre",
}
"""How the points on the path of Integrated Gradients are placed, in words."""


def order_words(residuals: pd.DataFrame, rule: str = RULES["gauss_legendre"]) -> str:
    """At how many points on the path a rule misses less of the total than every other one, in a sentence.

    Args:
        residuals: Columns rule, steps (points) and residual (a share of the total).
        rule: By its words in RULES, by default that of the highest order.

    >>> rows = [("middle", 5, 0.2), ("Gauss", 5, 0.3), ("middle", 10, 0.2), ("Gauss", 10, 0.1)]
    >>> order_words(pd.DataFrame(rows, columns=["rule", "steps", "residual"]), "Gauss")
    'Gauss misses least at 10 points, and not at 5.'
    """
    table = residuals.pivot(index="steps", columns="rule", values="residual")
    least = table[rule] < table.drop(columns=rule).min(axis=1)
    at, elsewhere = ([str(steps) for steps in table.index[where]] for where in (least, ~least))
    if not at:
        return f"{rule} misses least at none of {listed(elsewhere)} points."
    if not elsewhere:
        return f"{rule} misses least at each of {listed(at)} points."
    return f"{rule} misses least at {listed(at)} points, and not at {listed(elsewhere)}."


def path_steps(study: Study) -> list[int]:
    """The numbers of points at which completeness is tried."""
    steps = study.profile.steps
    return sorted({max(2, steps // 2), steps, 2 * steps})  # some rules need two points


def maps_of(study: Study, methods: Sequence[str], n_shown: int, n_paths: int) -> Iterator[SaliencyMaps]:
    """The maps of the chapter.

    Args:
        study: whose main network is explained.
        methods: their names.
        n_shown: images that every method explains.
        n_paths: images on which completeness is tried.
    """
    maps, shown, paths = study.maps, study.images.explained[:n_shown], study.images.explained[:n_paths]
    yield maps.artefact("grad", images=shown[:1])
    yield from (maps.artefact(method, images=shown) for method in methods)
    yield from (maps.artefact(method, images=shown, parameters=given) for method, given in VARIANTS.values())
    for rule in RULES:
        for steps in path_steps(study):
            yield maps.artefact("ig", images=paths, parameters={"steps": steps, "quadrature": rule})


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
