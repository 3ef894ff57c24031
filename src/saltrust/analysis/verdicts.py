"""The table of verdicts in words: what the controls pass, and how many methods pass, fail, or cannot be told."""

from typing import Any

import pandas as pd

from saltrust.analysis.words import listed
from saltrust.core.outcomes import FAIL, OUTCOMES, PASS
from saltrust.methods.registry import METHODS, label_of

IN_WORDS = {
    "sobel": "an edge detector",
    "centre": "a spot in the centre",
    "random_field": "a random field",
    "constant": "a constant map",
}
"""What a control is, for prose."""


def passes(verdicts: pd.DataFrame) -> pd.Series:
    """How many comparisons each method passes, in the order of the rows. verdicts: from `Study.verdicts`."""
    return verdicts["verdict"].eq(PASS).groupby(verdicts["method"], sort=False).sum()


def controls_first(methods: pd.DataFrame, controls: pd.DataFrame) -> str:
    """What the controls make of the verdicts, in one sentence: whether a method passes more than what sees no network.

    Args:
        methods: Their verdicts, from `Study.verdicts`. Controls among them are left out.
        controls: Those of the controls, by the same comparisons.

    >>> import saltrust.methods  # fills the registry
    >>> columns = ["method", "criterion", "verdict"]
    >>> ig = pd.DataFrame([("ig", "utility", "PASS"), ("ig", "repeatability", "UNDECIDED")], columns=columns)
    >>> controls_first(ig, ig.assign(method="sobel"))
    'No method passes more of the 2 comparisons than an edge detector does, which sees no network: 1.'
    """
    own = methods[[METHODS[name].family != "control" for name in methods["method"]]]
    if own.empty:
        return "The methods that are judged here are controls, which see no network."
    found, rivals = passes(own), passes(controls)
    n, most, bar = len(own) // len(found), found.max(), rivals.max()
    ahead = list(rivals.index[rivals > most])
    if ahead:
        verb, sees = ("passes", "sees") if len(ahead) == 1 else ("pass", "see")
        names = listed([_in_words(name) for name in ahead])
        at_best = f"no method more than {most}" if most else "no method any"
        return (
            f"{names[0].upper()}{names[1:]}, which {sees} no network, {verb} more of the {n} comparisons than any "
            f"method: {listed([str(rivals[name]) for name in ahead])}, and {at_best}."
        )
    best = list(rivals.index[rivals == bar])
    does, sees = ("does", "sees") if len(best) == 1 else ("do", "see")
    as_much = f"than {listed([_in_words(name) for name in best])} {does}, which {sees} no network: {bar}"
    above = list(found.index[found > bar])
    if not above:
        return f"No method passes more of the {n} comparisons {as_much}."
    if len(above) == len(found):
        return (
            f"Every method passes more of the {n} comparisons {as_much} at most; the fewest that a method passes are "
            f"{found.min()}."
        )
    names = listed([label_of(name) for name in above])
    verb = "passes" if len(above) == 1 else "pass"
    others = len(found) - len(above)
    rest = "the other passes" if others == 1 else f"the other {others} pass"
    return (
        f"Of {len(found)} methods, only {names} {verb} more of the {n} comparisons {as_much}; {rest} no more than that."
    )


def verdict_counts(methods: pd.DataFrame, controls: pd.DataFrame) -> dict[str, Any]:
    """The numbers of the table of verdicts, as prose quotes them.

    Args:
        methods: Their verdicts, from `Study.verdicts`.
        controls: Those of the controls, by the same comparisons.

    Returns:
        n_methods, n_tests (comparisons of a method), n_criteria, n_cells; n_pass, n_undecided and n_fail of these;
        n_maps_all_pass and n_maps_any_fail (methods that pass every comparison, that fail one); n_pass_low (methods
        that pass all low baselines), n_pass_localizer (cells); most_passes and best_map; control_passes (the most that
        a control passes) and n_above_controls (methods that pass more); and, of the low baseline of each criterion,
        <criterion>_n_pass, <criterion>_n_undecided and <criterion>_n_fail.
    """
    found, bar = passes(methods), int(passes(controls).max())
    low = methods[methods["baseline"] != "localizer"]
    kinds = {outcome.lower(): outcome for outcome in OUTCOMES}
    by_criterion = {
        f"{criterion}_n_{kind}": int(part["verdict"].eq(outcome).sum())
        for criterion, part in low.groupby("criterion", sort=False)
        for kind, outcome in kinds.items()
    }
    n = len(methods) // len(found)
    return {
        "n_methods": len(found),
        "n_tests": n,
        "n_criteria": methods["criterion"].nunique(),
        "n_cells": len(methods),
        **{f"n_{kind}": int(methods["verdict"].eq(outcome).sum()) for kind, outcome in kinds.items()},
        "n_maps_all_pass": int((found == n).sum()),
        "n_maps_any_fail": methods.loc[methods["verdict"] == FAIL, "method"].nunique(),
        "n_pass_low": int((passes(low) == low.groupby("method", sort=False).size()).sum()),
        "n_pass_localizer": int(methods.loc[methods["baseline"] == "localizer", "verdict"].eq(PASS).sum()),
        "most_passes": int(found.max()),
        "best_map": ", ".join(label_of(name) for name in found.index[found == found.max()]),
        "control_passes": bar,
        "n_above_controls": int((found > bar).sum()),
        **by_criterion,
    }


def _in_words(control: str) -> str:
    return IN_WORDS.get(control) or f"the map {METHODS[control].title}"
