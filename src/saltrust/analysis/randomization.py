"""When maps stop being like those of the trained network, and what a spread over networks is."""

from collections.abc import Mapping, Sequence

import pandas as pd

from saltrust.methods.registry import label_of
from saltrust.study.study import Study


def first_falls(means: pd.DataFrame, thresholds: Mapping[str, float], stages: Sequence[str]) -> pd.DataFrame:
    """At which stage of a cascade each method's likeness first falls below its threshold.

    Args:
        means: Columns method, stage and mean; other stages may be among them.
        thresholds: Degradation threshold by method.
        stages: Those that are looked at, the one with the fewest random weights first.

    Returns:
        One row for each method: method, first_below (the stage, "" where there is none), n_below (at how many stages
        the mean is below), ends_below (whether it is at the last one) and only_last (whether it is at no other).

    >>> means = pd.DataFrame({"method": "ig", "stage": ["logits", "stem"], "mean": [0.75, 0.25]})
    >>> first_falls(means, {"ig": 0.5}, ["logits", "stem"]).iloc[0].to_dict()
    {'method': 'ig', 'first_below': 'stem', 'n_below': 1, 'ends_below': True, 'only_last': True}
    """
    rows = []
    for method, own in means.groupby("method", sort=False):
        by_stage = own.set_index("stage")["mean"].loc[list(stages)]
        below = by_stage < thresholds[method]
        rows.append(
            {
                "method": method,
                "first_below": below.idxmax() if below.any() else "",
                "n_below": int(below.sum()),
                "ends_below": bool(below.iloc[-1]),
                "only_last": bool(below.iloc[-1] and below.sum() == 1),
            }
        )
    return pd.DataFrame(rows)


def falls(study: Study, methods: str = "paper") -> pd.DataFrame:
    """`first_falls` of a study's SSIM from the logits down, to where its protocol ends the cascade.

    Args:
        study: whose networks' weights are drawn anew.
        methods: names and groups of methods, joined by commas.
    """
    means = study.criteria.sensitivity(methods).groupby(["method", "stage"], sort=False)["ssim"].mean()
    thresholds = study.criteria.thresholds(methods).groupby("method")["ssim"].mean()
    return first_falls(means.rename("mean").reset_index(), thresholds, study.maps.cascade_stages(study.protocol))


def late_words(found: pd.DataFrame) -> str:
    """The methods that fall below their threshold at the last stage only, in words.

    Args:
        found: From `first_falls`.

    >>> late_words(pd.DataFrame({"method": ["ig", "grad"], "only_last": [True, False]}))
    'IG'
    >>> late_words(pd.DataFrame({"method": ["ig"], "only_last": [False]}))
    'none'
    """
    return ", ".join(label_of(name) for name in found.loc[found["only_last"], "method"]) or "none"


def over_networks(scores: pd.DataFrame, score: str) -> pd.DataFrame:
    """Mean over networks of their mean scores, and the standard deviation of these means: the ± of Arun et al.

    Args:
        scores: Columns method, replicate (the number of the network) and <score>, a row for each image.
        score: The column.

    Returns:
        Indexed by method: mean, sd (NaN of one network) and networks (how many).

    Source:
        Their code: three InceptionV3 of a data set, each with a cascade of its own.

    >>> scores = pd.DataFrame({"method": "ig", "replicate": [1, 1, 2, 2], "ssim": [0.0, 0.5, 0.5, 1.0]})
    >>> over_networks(scores, "ssim").round(4).loc["ig"].tolist()
    [0.5, 0.3536, 2.0]
    """
    means = scores.groupby(["method", "replicate"], sort=False)[score].mean()
    found = means.groupby("method", sort=False).agg(["mean", "std", "count"])
    return found.rename(columns={"std": "sd", "count": "networks"})
