"""The specification curve in a few tables: what is varied, how divided verdicts are, which choices lead."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from saltrust.analysis.multiverse.effects import INTERACTIONS, flip_rates
from saltrust.analysis.multiverse.factors import FACTORS
from saltrust.methods.registry import label_of


def choices_table(grids: Mapping[tuple[str, str], Mapping[str, Sequence[Any]]]) -> pd.DataFrame:
    """The choices that are varied.

    Args:
        grids: By criterion and method, the values of each choice that is varied there (see `curve.grid`).

    Returns:
        One row for each choice: choice, values, from (where these come from), criteria and methods that it bears on.
        The values and methods are those of its first criterion.
    """
    criteria, methods = (list(dict.fromkeys(names)) for names in zip(*grids, strict=True))
    rows = []
    for name, factor in FACTORS.items():
        touched = {c: [m for m in methods if name in grids[c, m]] for c in criteria}
        bearing = [criterion for criterion in criteria if touched[criterion]]
        if not bearing:
            continue
        first = bearing[0]
        values = dict.fromkeys(factor.label(v) for m in touched[first] for v in grids[first, m][name])
        rows.append(
            {
                "choice": factor.title,
                "values": "; ".join(values),
                "from": factor.sources,
                "criteria": "all" if bearing == criteria else ", ".join(bearing),
                "methods": "all" if touched[first] == methods else ", ".join(map(label_of, touched[first])),
            }
        )
    return pd.DataFrame(rows)


def minorities(shares: Mapping[str, pd.DataFrame]) -> pd.Series:
    """How divided the verdicts are: the share of the specifications that do not have the most frequent one.

    Args:
        shares: By verdict, methods x criteria (see `effects.verdict_shares`).

    Returns:
        By method and criterion, from 0 (one verdict) to 2/3 (three that are equally frequent).

    >>> shares = {"PASS": 0.75, "UNDECIDED": 0.25, "FAIL": 0.0}
    >>> minorities({name: pd.DataFrame({"utility": {"ig": share}}) for name, share in shares.items()}).tolist()
    [0.25]
    """
    return 1 - pd.concat([cells.stack() for cells in shares.values()], axis=1).max(axis=1)


def protocol_verdicts(curve: pd.DataFrame) -> pd.DataFrame:
    """The verdicts of the named protocols.

    Args:
        curve: Columns criterion, method, verdict and protocol: the names of the protocols that a specification is,
            separated by commas, or nothing.

    Returns:
        Verdicts by criterion and method, a column for each protocol.

    >>> curve = pd.DataFrame({"criterion": "utility", "method": "ig", "verdict": ["PASS", "FAIL"],
    ...                       "protocol": ["corrected, published", ""]})
    >>> protocol_verdicts(curve).loc[("utility", "ig")].to_dict()
    {'corrected': 'PASS', 'published': 'PASS'}
    """
    named = curve[curve["protocol"] != ""].assign(protocol=lambda rows: rows["protocol"].str.split(", "))
    return named.explode("protocol").pivot(index=["criterion", "method"], columns="protocol", values="verdict")


def explained_variance(found: pd.DataFrame) -> pd.Series:
    """Share of the variance of the difference that each choice explains, mean over the methods.

    Args:
        found: From `effects.effects`.

    Returns:
        By criterion and choice, the interactions among these.
    """
    return found.groupby(["criterion", "choice"], sort=False)["variance_difference"].mean()


def choice_bars(found: pd.DataFrame, criteria: Sequence[str]) -> pd.DataFrame:
    """How much each choice matters, in the order of their flip rates over all criteria.

    Args:
        found: From `effects.effects`.
        criteria: In the order of their bars.

    Returns:
        A row for each choice (the interactions last) and criterion: criterion, choice, flip_rate, variance; missing
        where the choice is not varied.
    """
    rates, variance = flip_rates(found), explained_variance(found)
    order = flip_rates(found, by=()).sort_values(ascending=False).index
    return pd.DataFrame(
        [
            {"criterion": c, "choice": name, "flip_rate": rates.get((c, name)), "variance": variance.get((c, name))}
            for name in (*order, INTERACTIONS)
            for c in criteria
        ]
    )


def leading_choices(found: pd.DataFrame, criterion: str) -> dict[str, str | float]:
    """The choices that decide a criterion, named as prose quotes them.

    Args:
        found: From `effects.effects`.
        criterion: One with at least two choices.

    Returns:
        first and second: the choices that flip most verdicts; first_flips and second_flips, their flip rates in per
        cent; variance: the choice that moves the difference most, variance_share and interactions in per cent.
    """
    rates = flip_rates(found)[criterion].sort_values(ascending=False)
    variance = explained_variance(found)[criterion]
    explained = variance.drop(INTERACTIONS)
    return {
        "first": FACTORS[rates.index[0]].title,
        "first_flips": 100 * rates.iloc[0],
        "second": FACTORS[rates.index[1]].title,
        "second_flips": 100 * rates.iloc[1],
        "variance": FACTORS[explained.idxmax()].title,
        "variance_share": 100 * explained.max(),
        "interactions": 100 * variance[INTERACTIONS],
    }
