"""Summaries with bootstrap intervals. Images are the unit of resampling, or what they belong to: their patients."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from scipy.stats import rankdata, spearmanr

LEVEL = 0.95


def bootstrap_means(values: np.ndarray, n_boot: int, seed: int, clusters: np.ndarray | None = None) -> np.ndarray:
    """Means (n_boot,) of resamples with replacement of values (n,).

    clusters (n,): what each value belongs to, a patient for example; then whole clusters are drawn, and a mean is over
    all their values.
    """
    members = np.arange(len(values)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    totals, sizes = np.bincount(members, values), np.bincount(members)
    drawn = np.random.default_rng(seed).integers(len(sizes), size=(n_boot, len(sizes)))
    return totals[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)


def interval(means: np.ndarray) -> tuple[float, float]:
    """The central 95 % of bootstrap means (percentile interval)."""
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def summarize(
    frame: pd.DataFrame,
    score: str,
    by: list[str],
    n_boot: int = 1000,
    seed: int = 0,
    clusters: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """One row for each group: mean, sd, ci_low, ci_high of `score`, and n, the number of images behind them.

    frame: tidy, with a column `image`; several rows of one image (replicates) are averaged first. clusters: what each
    image belongs to, see `bootstrap_means`. Missing scores are left out of the mean and shown by a smaller n. The order
    of the groups is that of the frame.
    """
    rows = []
    for key, group in frame.groupby(by, sort=False):
        by_image = group.groupby("image", sort=False)[score].mean().dropna()
        values, members = by_image.to_numpy(), clusters_of(by_image.index, clusters)
        low, high = interval(bootstrap_means(values, n_boot, seed, members)) if len(values) else (np.nan, np.nan)
        row = dict(zip(by, key, strict=True))
        sd = values.std(ddof=1) if len(values) > 1 else np.nan
        row |= {
            "mean": values.mean() if len(values) else np.nan,
            "sd": sd,
            "ci_low": low,
            "ci_high": high,
            "n": len(values),
        }
        rows.append(row)
    return pd.DataFrame(rows)


def clusters_of(images: Iterable[str], clusters: Mapping[str, str] | None) -> np.ndarray | None:
    """What each of the images belongs to; None without clusters. An image without one is a cluster of its own."""
    return None if clusters is None else np.array([clusters.get(image, image) for image in images])


def crossed_means(values: np.ndarray, n_boot: int, seed: int) -> np.ndarray:
    """Means (n_boot,) of values (branches, images), both resampled with replacement, each apart from the other.

    The same seed draws the same branches and images for every table of one shape, so that means can be compared.
    """
    rng = np.random.default_rng(seed)
    shares = [rng.multinomial(n, np.full(n, 1 / n), size=n_boot) / n for n in values.shape]
    return np.einsum("kb,bi,ki->k", shares[0], values, shares[1], optimize=True)


def crossed(frame: pd.DataFrame, scores: list[str], by: list[str], n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """One row for each group: the mean of each score and its interval over branches and images, as <score>,
    <score>_low, <score>_high. frame: tidy, a row for each image and branch, with columns `image` and `branch`."""
    rows = []
    for key, group in frame.groupby(by, sort=False):
        row = dict(zip(by, key, strict=True))
        for score in scores:
            values = group.pivot(index="branch", columns="image", values=score).to_numpy()
            low, high = interval(crossed_means(values, n_boot, seed))
            row |= {score: values.mean(), f"{score}_low": low, f"{score}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def rank_correlation(
    first: tuple[pd.DataFrame, str], second: tuple[pd.DataFrame, str], n_boot: int, seed: int
) -> dict[str, float]:
    """Spearman's correlation over the methods between the means of two scores, and its interval over branches and
    images: correlation, ci_low, ci_high.

    first, second: (frame, score); frames as in `crossed`, with a column `method`, of the same images and branches.
    """
    resampled, means = [], []
    for frame, score in (first, second):
        tables = [
            group.pivot(index="branch", columns="image", values=score).to_numpy()
            for _, group in frame.groupby("method")
        ]
        resampled.append(rankdata([crossed_means(table, n_boot, seed) for table in tables], axis=0))
        means.append([table.mean() for table in tables])
    left, right = (ranks - ranks.mean(axis=0) for ranks in resampled)
    spread = np.sqrt((left**2).sum(axis=0) * (right**2).sum(axis=0))
    agreement = np.divide((left * right).sum(axis=0), spread, out=np.zeros(n_boot), where=spread > 0)
    low, high = interval(agreement)
    return {"correlation": float(spearmanr(*means).statistic), "ci_low": low, "ci_high": high}


def difference(
    first: np.ndarray,
    second: np.ndarray | float,
    *,
    paired: bool,
    n_boot: int,
    seed: int,
    clusters: np.ndarray | None = None,
) -> dict[str, float]:
    """Mean of `first` minus mean of `second`, with its bootstrap interval: difference, ci_low, ci_high.

    paired: the two are of the same images in the same order (or `second` is one number), so images are resampled as
    pairs; else each sample is resampled by itself. clusters: of the images of `first`, see `bootstrap_means`.
    """
    if paired:
        gaps = np.asarray(first) - second
        known = ~np.isnan(gaps)
        gaps = gaps[known]
        means = bootstrap_means(gaps, n_boot, seed, None if clusters is None else clusters[known])
        estimate = gaps.mean()
    else:
        means = bootstrap_means(first, n_boot, seed, clusters) - bootstrap_means(second, n_boot, seed + 1)
        estimate = np.mean(first) - np.mean(second)
    low, high = interval(means)
    return {"difference": float(estimate), "ci_low": low, "ci_high": high}


def roc_auc(labels: np.ndarray, scores: np.ndarray, n_boot: int = 1000, seed: int = 0) -> dict[str, float]:
    """Area under the ROC curve with a bootstrap interval by image: auc, ci_low, ci_high. labels: 0 or 1."""
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(seed)
    positive, negative = np.asarray(scores)[labels == 1], np.asarray(scores)[labels == 0]
    resampled = [
        _rank_auc(rng.choice(positive, len(positive)), rng.choice(negative, len(negative))) for _ in range(n_boot)
    ]
    low, high = interval(np.array(resampled))
    return {"auc": float(roc_auc_score(labels, scores)), "ci_low": low, "ci_high": high}


def macro_auc(labels: np.ndarray, scores: np.ndarray, n_boot: int = 1000, seed: int = 0) -> dict[str, float]:
    """Mean over the classes of the area under the ROC curve of each class against the others, with a bootstrap interval
    by image: auc, ci_low, ci_high. labels (n,): columns of scores (n, classes). A resample keeps the sizes of the
    classes.
    """
    rng = np.random.default_rng(seed)
    labels, scores = np.asarray(labels), np.asarray(scores)
    members = [np.flatnonzero(labels == label) for label in range(scores.shape[1])]

    def area(chosen: np.ndarray) -> float:
        own = labels[chosen][:, None] == np.arange(scores.shape[1])
        return float(np.mean([_rank_auc(s[o], s[~o]) for s, o in zip(scores[chosen].T, own.T, strict=True)]))

    resampled = [area(np.concatenate([rng.choice(m, len(m)) for m in members])) for _ in range(n_boot)]
    low, high = interval(np.array(resampled))
    return {"auc": area(np.arange(len(labels))), "ci_low": low, "ci_high": high}


def _rank_auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Share of (positive, negative) pairs in the right order, ties counting one half."""
    ranked = np.sort(negative)
    below = np.searchsorted(ranked, positive, "left") + np.searchsorted(ranked, positive, "right")
    return float(below.mean() / (2 * len(negative)))
