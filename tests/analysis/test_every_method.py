"""The table of what each method costs."""

import numpy as np
import pandas as pd
import pytest

from saltrust.analysis.every_method import RULES, cost_table, mean_auprc, order_words
from saltrust.methods.registry import METHODS
from saltrust.scores.auprc import average_precision


def test_auprc_is_the_mean_over_the_maps():
    rng = np.random.default_rng(0)
    maps, truth = rng.random((3, 8, 8)), rng.random((3, 8, 8)) > 0.7
    each = [average_precision(one, true) for one, true in zip(maps, truth, strict=True)]
    assert mean_auprc(maps, truth) == pytest.approx(np.mean(each))


@pytest.mark.parametrize(
    ("gauss", "said"),
    [
        ((0.30, 0.15, 0.05), "Gauss-Legendre misses least at 10 and 20 points, and not at 5."),
        ((0.10, 0.15, 0.05), "Gauss-Legendre misses least at each of 5, 10 and 20 points."),
        ((0.30, 0.25, 0.20), "Gauss-Legendre misses least at none of 5, 10 and 20 points."),
        ((0.20, 0.25, 0.05), "Gauss-Legendre misses least at 20 points, and not at 5 and 10."),  # a tie is no gain
    ],
)
def test_whether_high_order_gains_is_said_for_each_number_of_points(gauss, said):
    others = {"middle of equal steps": (0.2, 0.2, 0.1), "equal points, both ends": (0.4, 0.4, 0.4)}
    rows = [
        (rule, steps, residual)
        for rule, values in (others | {RULES["gauss_legendre"]: gauss}).items()
        for steps, residual in zip((5, 10, 20), values, strict=True)
    ]
    assert order_words(pd.DataFrame(rows, columns=["rule", "steps", "residual"])) == said


def test_each_method_has_its_passes_and_faults():
    names = ("ig", "sobel", "gradcam")
    parameters = {name: METHODS[name].complete({"steps": 7} if name == "ig" else {}) for name in names}
    faults = pd.DataFrame(
        [("gradcam", 1, 2, 4, np.nan), ("ig", 0, 0, 0, 0.02), ("sobel", 0, 1, 0, np.nan)],
        columns=["method", "not_finite", "constant", "empty", "residual"],
    )
    numbers = {name: place for place, name in enumerate(names)}
    table = cost_table(parameters, numbers, numbers, faults).set_index("method")
    assert list(table.index) == list(names)
    assert table.loc["ig", "passes"] == METHODS["ig"].passes(parameters["ig"])
    assert table.loc["sobel", "passes"] == 0  # a control runs no network
    assert table["faults"].to_dict() == {"ig": 0, "sobel": 1, "gradcam": 7}
    assert table.loc["ig", "residual"] == 0.02
    assert table["seconds"].to_dict() == numbers


def test_passes_are_missing_where_they_depend_on_the_network():
    unknown = [name for name, method in METHODS.items() if not method.passes(method.complete({}))]
    unknown = [name for name in unknown if METHODS[name].family != "control"]
    faults = pd.DataFrame({"method": unknown}).assign(not_finite=0, constant=0, empty=0, residual=np.nan)
    level = dict.fromkeys(unknown, 0.0)
    table = cost_table({name: METHODS[name].complete({}) for name in unknown}, level, level, faults)
    assert unknown
    assert table["passes"].isna().all()
