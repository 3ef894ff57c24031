"""The methods of Tjoa & Guan on one footing: with and without signs, first and last layer, other scores.

Frames are those of `FiveBandStudy`: a row for each image, network, branch and method. Intervals are over branches and
images (see `stats.bootstrap.crossed`).
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from saltrust.stats.bootstrap import crossed, rank_correlation

BANDS = ("recall_avg", "precision_avg")  # the two five-band scores that other scores are compared with
_PAIRED = ["image", "network", "branch"]


def method_gaps(
    frame: pd.DataFrame, first: str, second: str, scores: Sequence[str], n_boot: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Mean scores of one method minus those of another, paired by image and branch.

    Args:
        frame: Columns image, network, branch, method and the scores.
        first: A method in the frame.
        second: The method whose scores are taken away.
        scores: Names of columns.
        n_boot: Bootstrap resamples.
        seed: Of the resamples.

    Returns:
        One row for each network: network, <score>, <score>_low, <score>_high.

    >>> rows = [("a", "net", 1, "ig", 0.75), ("a", "net", 1, "grad", 0.5), ("b", "net", 1, "ig", 0.5),
    ...         ("b", "net", 1, "grad", 0.25)]
    >>> frame = pd.DataFrame(rows, columns=["image", "network", "branch", "method", "recall"])
    >>> method_gaps(frame, "ig", "grad", ["recall"])["recall"].tolist()
    [0.25]
    """
    one, other = (frame[frame["method"] == name].set_index(_PAIRED)[[*scores]] for name in (first, second))
    return crossed((one - other).reset_index(), [*scores], ["network"], n_boot, seed)


def leads(
    footings: Mapping[str, pd.DataFrame], means: pd.DataFrame, leader: str, n_boot: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """By how much a method's average recall exceeds that of its best rival.

    Args:
        footings: By the name of a footing, columns image, network, branch, method and recall_avg.
        means: Mean recall_avg by network, footing and method: what the best rival is found by.
        leader: The method.
        n_boot: Bootstrap resamples.
        seed: Of the resamples.

    Returns:
        One row for each network and footing: network, footing, rival (a method), lead, lead_low, lead_high.

    >>> rows = [("a", "net", 1, "ig", 0.75), ("a", "net", 1, "grad", 0.5), ("a", "net", 1, "xrai", 0.25)]
    >>> frame = pd.DataFrame(rows, columns=["image", "network", "branch", "method", "recall_avg"])
    >>> found = leads({"as it is": frame}, frame.assign(footing="as it is"), "ig").iloc[0]
    >>> found["rival"], float(found["lead"])
    ('grad', 0.25)
    """
    recall = means.pivot(index=["network", "footing"], columns="method", values="recall_avg").drop(columns=leader)
    rows = []
    for network in means["network"].unique():
        for footing, frame in footings.items():
            rival = recall.loc[(network, footing)].idxmax()
            gap = method_gaps(frame[frame["network"] == network], leader, rival, ["recall_avg"], n_boot, seed)
            gap.columns = [name.replace("recall_avg", "lead") for name in gap.columns]
            rows.append(gap.assign(footing=footing, rival=rival))
    return pd.concat(rows, ignore_index=True)[["network", "footing", "rival", "lead", "lead_low", "lead_high"]]


def mean_scores(bands: pd.DataFrame, others: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The mean of each score by method, over all images, networks and branches.

    Args:
        bands: Columns method, recall_avg and precision_avg.
        others: By the name of another score, columns method and that score.

    Returns:
        Methods x scores, the two five-band scores first.

    >>> bands = pd.DataFrame({"method": ["ig", "ig"], "recall_avg": [0.0, 1.0], "precision_avg": [0.5, 0.5]})
    >>> mean_scores(bands, {"auprc": bands.assign(auprc=0.25)}).loc["ig"].to_dict()
    {'recall_avg': 0.5, 'precision_avg': 0.5, 'auprc': 0.25}
    """
    frames = dict.fromkeys(BANDS, bands) | dict(others)
    return pd.DataFrame({score: frame.groupby("method", sort=False)[score].mean() for score, frame in frames.items()})


def rank_correlations(
    bands: pd.DataFrame, others: Mapping[str, pd.DataFrame], n_boot: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Do a five-band score and another score put the methods in the same order? Spearman's correlation over methods.

    Args:
        bands: Columns image, network, branch, method, recall_avg and precision_avg.
        others: By the name of another score, columns image, network, branch, method and that score.
        n_boot: Bootstrap resamples.
        seed: Of the resamples.

    Returns:
        One row for each network, five-band score and other score: network, band, score, correlation, ci_low, ci_high.

    >>> values = {"ig": 0.1, "xrai": 0.3, "grad": 0.2}
    >>> rows = [("a", "net", 1, method, value, -value) for method, value in values.items()]
    >>> bands = pd.DataFrame(rows, columns=["image", "network", "branch", "method", *BANDS])
    >>> found = rank_correlations(bands, {"auprc": bands.assign(auprc=bands["recall_avg"] / 2)})
    >>> found["correlation"].round(6).tolist()
    [1.0, -1.0]
    """
    rows = []
    for network, judged in bands.groupby("network", sort=False):
        for band in BANDS:
            for score, frame in others.items():
                other = frame[frame["network"] == network]
                agreement = rank_correlation((judged, band), (other, score), n_boot, seed)
                rows.append({"network": network, "band": band, "score": score, **agreement})
    return pd.DataFrame(rows)
