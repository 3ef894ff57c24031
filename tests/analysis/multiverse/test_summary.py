"""What the specification curve comes to, on small frames with known results."""

import numpy as np
import pandas as pd
import pytest

from saltrust.analysis.multiverse.effects import INTERACTIONS, verdict_shares
from saltrust.analysis.multiverse.factors import FACTORS
from saltrust.analysis.multiverse.summary import (
    choice_bars,
    choices_table,
    leading_choices,
    minorities,
    protocol_verdicts,
)
from saltrust.core.outcomes import OUTCOMES

CLIP, RULE = FACTORS["clip"].title, FACTORS["rule"].title


def effects_of(criterion, **choices):
    """As from `effects`, of two methods: by choice, the pairs that flip (of ten) and the share of the variance."""
    rows = [
        (criterion, method, name, 10, flips, share)
        for method in ("ig", "grad")
        for name, (flips, share) in choices.items()
    ]
    left = 1 - sum(share for _, share in choices.values())
    rows += [(criterion, method, INTERACTIONS, np.nan, np.nan, left) for method in ("ig", "grad")]
    return pd.DataFrame(rows, columns=["criterion", "method", "choice", "pairs", "flips", "variance_difference"])


def test_a_choice_names_its_values_criteria_and_methods():
    grids = {
        ("utility", "ig"): {"rule": ("interval", "mean")},
        ("utility", "gradcam"): {"rule": ("interval", "mean")},
        ("randomization", "ig"): {"rule": ("interval", "mean"), "batchnorm": ("reset", "keep_statistics")},
        ("randomization", "gradcam"): {"rule": ("interval", "mean")},
    }
    table = choices_table(grids).set_index("choice")
    assert set(table.index) == {RULE, FACTORS["batchnorm"].title}
    assert table.loc[RULE].to_dict() == {
        "values": "95 % interval; mean",
        "from": FACTORS["rule"].sources,
        "criteria": "all",
        "methods": "all",
    }
    batchnorm = table.loc[FACTORS["batchnorm"].title]
    assert (batchnorm["criteria"], batchnorm["methods"]) == ("randomization", "IG")
    assert batchnorm["values"] == "reset; statistics kept"


def test_a_minority_is_all_that_has_not_the_most_frequent_verdict():
    curve = pd.DataFrame(
        [
            *(("ig", "utility", verdict) for verdict in ["PASS"] * 9 + ["FAIL"]),
            *(("ig", "randomization", verdict) for verdict in OUTCOMES),
            *(("grad", "utility", "UNDECIDED") for _ in range(3)),
            *(("grad", "randomization", verdict) for verdict in ("FAIL", "UNDECIDED", "FAIL", "PASS")),
        ],
        columns=["method", "criterion", "verdict"],
    ).assign(in_grid=True)
    shares = verdict_shares(curve)
    assert list(shares["PASS"].index) == ["ig", "grad"]
    found = minorities(shares)
    assert found.loc["ig"].to_dict() == pytest.approx({"utility": 0.1, "randomization": 2 / 3})
    assert found.loc["grad"].to_dict() == pytest.approx({"utility": 0, "randomization": 0.5})


def test_a_specification_may_be_several_protocols():
    curve = pd.DataFrame(
        [
            ("utility", "ig", "PASS", "corrected"),
            ("utility", "ig", "FAIL", "published, as_run"),
            ("utility", "ig", "PASS", ""),
        ],
        columns=["criterion", "method", "verdict", "protocol"],
    )
    verdicts = protocol_verdicts(curve).loc[("utility", "ig")].to_dict()
    assert verdicts == {"corrected": "PASS", "published": "FAIL", "as_run": "FAIL"}


def test_bars_are_in_the_order_of_all_flips():
    found = pd.concat(
        [effects_of("utility", clip=(1, 0.5), rule=(4, 0.0)), effects_of("randomization", rule=(3, 0.25))]
    )
    bars = choice_bars(found, ["utility", "randomization"])
    assert list(bars["choice"].unique()) == ["rule", "clip", INTERACTIONS]
    assert list(bars["criterion"]) == ["utility", "randomization"] * 3
    by = bars.set_index(["choice", "criterion"])
    assert by["flip_rate"].loc["rule"].tolist() == pytest.approx([0.4, 0.3])
    assert by["variance"].loc[INTERACTIONS].tolist() == pytest.approx([0.5, 0.75])
    assert by.loc[("clip", "randomization")].isna().all()


def test_the_choices_that_lead_are_named():
    found = leading_choices(effects_of("utility", clip=(1, 0.5), rule=(4, 0.1)), "utility")
    assert found == pytest.approx(
        {
            "first": RULE,
            "first_flips": 40,
            "second": CLIP,
            "second_flips": 10,
            "variance": CLIP,
            "variance_share": 50,
            "interactions": 40,
        }
    )
