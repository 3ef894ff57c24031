"""What utility owes to training: maps of a trained network against maps of one with random weights."""

from collections.abc import Mapping, Sequence

import pandas as pd

from saltrust.stats.bootstrap import clusters_of, difference


def trained_against_random(
    scores: pd.DataFrame,
    trained: str,
    random: str,
    methods: Sequence[str],
    n_boot: int = 1000,
    seed: int = 0,
    clusters: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Mean AUPRC of each method's maps of two networks, and the difference by image with its bootstrap interval.

    Args:
        scores: Columns image, method, model and auprc.
        trained: The model with trained weights.
        random: The model with random weights.
        methods: Those that are compared.
        n_boot: Bootstrap resamples of the images.
        seed: Of the resamples.
        clusters: What each image belongs to, where that is resampled.

    Returns:
        One row for each method: method, trained, random, difference, ci_low, ci_high.

    >>> scores = pd.DataFrame({"image": ["a", "b"] * 2, "method": "ig", "model": ["net", "net", "noise", "noise"],
    ...                        "auprc": [0.75, 0.5, 0.25, 0.0]})
    >>> trained_against_random(scores, "net", "noise", ["ig"])["difference"].tolist()
    [0.5]
    """
    first, second = (
        scores[scores["model"] == model].pivot(index="image", columns="method", values="auprc")
        for model in (trained, random)
    )
    resampled = {"n_boot": n_boot, "seed": seed, "clusters": clusters_of(first.index, clusters)}
    return pd.DataFrame(
        {
            "method": name,
            "trained": first[name].mean(),
            "random": second[name].mean(),
            **difference(first[name].to_numpy(), second[name].to_numpy(), paired=True, **resampled),
        }
        for name in methods
    )
