"""Summaries with bootstrap intervals. The unit of resampling is the image, or what images belong to: their patients."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd
from scipy.stats import rankdata, spearmanr, ttest_1samp

LEVEL = 0.95


def bootstrap_means(values: np.ndarray, n_boot: int, seed: int, clusters: np.ndarray | None = None) -> np.ndarray:
    """Means of resamples with replacement.

    Args:
        values: the values (n,).
        n_boot: number of resamples.
        seed: of the random draws.
        clusters: what each value belongs to (n,), for example a patient; then whole clusters are drawn, and a mean is
            over all their values. None to draw the values themselves.

    Returns:
        An array (n_boot,), in units of the values.

    >>> bootstrap_means(np.array([2.0, 2.0]), n_boot=3, seed=0).tolist()
    [2.0, 2.0, 2.0]
    """
    members = _members(len(values), clusters)
    totals, sizes = np.bincount(members, values), np.bincount(members)
    drawn = _drawn(len(sizes), n_boot, seed)
    return totals[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)


def times_drawn(n: int, n_boot: int, seed: int, clusters: np.ndarray | None = None) -> np.ndarray:
    """How often each of n values is in each of the resamples that `bootstrap_means` draws with the same seed.

    They are weights for scores that are no means. One seed gives all scores of the same images the same resamples.

    Args:
        n: number of values, at least 1.
        n_boot: number of resamples.
        seed: of the random draws.
        clusters: what each value belongs to (n,), see `bootstrap_means`.

    Returns:
        Whole numbers (n_boot, n), from 0. A row sums to n without clusters, else to the size of the clusters drawn.

    >>> times_drawn(3, n_boot=2, seed=0, clusters=np.array(["a", "a", "a"])).tolist()
    [[1, 1, 1], [1, 1, 1]]
    """
    members = _members(n, clusters)
    units = int(members.max()) + 1
    places = _drawn(units, n_boot, seed) + units * np.arange(n_boot)[:, None]
    return np.bincount(places.ravel(), minlength=n_boot * units).reshape(n_boot, units)[:, members]


def _members(n: int, clusters: np.ndarray | None) -> np.ndarray:
    """The number of the cluster of each of n values; each value is its own without clusters."""
    return np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1]


def _drawn(units: int, n_boot: int, seed: int) -> np.ndarray:
    """The units that each resample holds (n_boot, units), with repeats."""
    return np.random.default_rng(seed).integers(units, size=(n_boot, units))


def interval(means: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """The central part of bootstrap means (percentile interval).

    Args:
        means: bootstrap means (n_boot,).
        level: the share of them that lies in it.

    Returns:
        The lower and the upper end.

    >>> low, high = interval(np.arange(101.0))
    >>> round(low, 6), round(high, 6)
    (2.5, 97.5)
    """
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def p_over_resamples(differences: np.ndarray) -> float:
    """The p of a t-test that takes resamples for a sample, as Shu et al. have it. It answers no question.

    Its standard error is divided by the root of the number of resamples, which one may choose: p falls to 0 as it
    grows, for any difference that is not exactly zero. `interval` answers what is asked.

    Args:
        differences: of two scores in each resample (n_boot,), at least 2.

    Returns:
        Two-sided p; 1 where all differences are 0, and 0 where all are one other number.

    Source:
        Shu et al. 2024, Fig. 3: a paired t-test over 30 resamples.

    >>> p_over_resamples(np.array([0.1, 0.3, -0.1])) > p_over_resamples(np.tile([0.1, 0.3, -0.1], 10))
    True
    """
    if np.ptp(differences) == 0:
        return float(differences[0] == 0)
    return float(ttest_1samp(differences, 0).pvalue)


def summarize(
    frame: pd.DataFrame,
    score: str,
    by: list[str],
    n_boot: int = 1000,
    seed: int = 0,
    clusters: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Mean, standard deviation and interval of a score, one row for each group.

    Missing scores are left out of the mean and shown by a smaller n. The order of the groups is that of the frame.

    Args:
        frame: tidy, with a column `image`; several rows of one image (replicates) are averaged first.
        score: name of the column to summarize.
        by: names of the columns that make the groups.
        n_boot: number of resamples.
        seed: of the random draws.
        clusters: what each image belongs to, see `bootstrap_means`.

    Returns:
        Columns `by`, mean, sd, ci_low, ci_high, and n, the number of images behind them.

    >>> frame = pd.DataFrame({"method": "grad", "image": ["a", "b"], "auprc": [0.2, 0.4]})
    >>> summarize(frame, "auprc", ["method"], n_boot=10)[["method", "n"]].values.tolist()
    [['grad', 2]]
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
    """What each of the images belongs to. An image without a cluster is one of its own.

    Args:
        images: names of images.
        clusters: image -> what it belongs to; None where there are no clusters.

    Returns:
        An array (images,), or None without clusters.

    >>> clusters_of(["a", "b"], {"a": "patient 1"}).tolist()
    ['patient 1', 'b']
    """
    return None if clusters is None else np.array([clusters.get(image, image) for image in images])


def crossed_means(values: np.ndarray, n_boot: int, seed: int) -> np.ndarray:
    """Means of a table whose branches and images are resampled with replacement, each apart from the other.

    The same seed draws the same branches and images for every table of one shape, so that means can be compared.

    Args:
        values: table (branches, images).
        n_boot: number of resamples.
        seed: of the random draws.

    Returns:
        An array (n_boot,), in units of the values.

    >>> crossed_means(np.full((2, 3), 0.5), n_boot=2, seed=0).round(6).tolist()
    [0.5, 0.5]
    """
    rng = np.random.default_rng(seed)
    shares = [rng.multinomial(n, np.full(n, 1 / n), size=n_boot) / n for n in values.shape]
    return np.einsum("kb,bi,ki->k", shares[0], values, shares[1], optimize=True)


def crossed(frame: pd.DataFrame, scores: list[str], by: list[str], n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Means of scores and their intervals over branches and images, one row for each group.

    Args:
        frame: tidy, one row for each image and branch, with columns `image` and `branch`.
        scores: names of the columns to summarize.
        by: names of the columns that make the groups.
        n_boot: number of resamples.
        seed: of the random draws.

    Returns:
        Columns `by`, and <score>, <score>_low, <score>_high of each score.

    >>> frame = pd.DataFrame({"method": "ig", "branch": [0, 0, 1, 1], "image": list("abab"), "recall": [0.5] * 4})
    >>> crossed(frame, ["recall"], ["method"], n_boot=10)[["method", "recall"]].values.tolist()
    [['ig', 0.5]]
    """
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
    """Spearman's correlation over the methods between the means of two scores.

    Args:
        first: a frame as in `crossed`, with a column `method`, and the name of a score in it.
        second: the same for the other score, of the same images and branches.
        n_boot: number of resamples, of branches and images.
        seed: of the random draws.

    Returns:
        correlation, -1 to 1, with its interval ci_low, ci_high.

    >>> rows = [(m, b, i, k) for k, m in enumerate(["grad", "ig", "lrp"]) for b in (0, 1) for i in "ab"]
    >>> frame = pd.DataFrame(rows, columns=["method", "branch", "image", "recall"])
    >>> round(rank_correlation((frame, "recall"), (frame, "recall"), n_boot=10, seed=0)["correlation"], 6)
    1.0
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
    """Mean of one sample minus mean of another, with its bootstrap interval.

    Args:
        first: sample (n,).
        second: sample (m,), or one number.
        paired: whether both are of the same images in the same order (or `second` is one number). Then images are
            resampled as pairs, and pairs with NaN are left out; else each sample is resampled by itself, without its
            NaN.
        n_boot: number of resamples.
        seed: of the random draws.
        clusters: of the images of `first` (n,), see `bootstrap_means`.

    Returns:
        difference, ci_low, ci_high.

    >>> difference(np.array([1.0, 3.0]), np.array([0.0, 2.0]), paired=True, n_boot=10, seed=0)
    {'difference': 1.0, 'ci_low': 1.0, 'ci_high': 1.0}
    """
    estimate, means = difference_means(first, second, paired=paired, n_boot=n_boot, seed=seed, clusters=clusters)
    low, high = interval(means)
    return {"difference": estimate, "ci_low": low, "ci_high": high}


def difference_means(
    first: np.ndarray,
    second: np.ndarray | float,
    *,
    paired: bool,
    n_boot: int,
    seed: int,
    clusters: np.ndarray | None = None,
) -> tuple[float, np.ndarray]:
    """Mean of one sample minus mean of another, and the same in each resample (n_boot,); arguments as `difference`.

    >>> estimate, means = difference_means(np.array([1.0, 3.0]), 0.0, paired=True, n_boot=3, seed=0)
    >>> estimate, means.shape
    (2.0, (3,))
    """
    if paired:
        gaps = np.asarray(first) - second
        known = ~np.isnan(gaps)
        gaps = gaps[known]
        means = bootstrap_means(gaps, n_boot, seed, None if clusters is None else clusters[known])
        estimate = gaps.mean()
    else:
        known = ~np.isnan(first)
        own, other = first[known], second[~np.isnan(second)]
        members = None if clusters is None else clusters[known]
        means = bootstrap_means(own, n_boot, seed, members) - bootstrap_means(other, n_boot, seed + 1)
        estimate = own.mean() - other.mean()
    return float(estimate), means


def roc_auc(labels: np.ndarray, scores: np.ndarray, n_boot: int = 1000, seed: int = 0) -> dict[str, float]:
    """Area under the ROC curve, with a bootstrap interval by image.

    Args:
        labels: (n,), 0 or 1; both occur.
        scores: (n,), the higher, the more likely 1.
        n_boot: number of resamples, each with as many of either label as there are.
        seed: of the random draws.

    Returns:
        auc, 0 to 1, with its interval ci_low, ci_high.

    >>> roc_auc(np.array([0, 0, 1]), np.array([0.1, 0.2, 0.9]), n_boot=10)
    {'auc': 1.0, 'ci_low': 1.0, 'ci_high': 1.0}
    """
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(seed)
    positive, negative = np.asarray(scores)[labels == 1], np.asarray(scores)[labels == 0]
    resampled = [
        _rank_auc(rng.choice(positive, len(positive)), rng.choice(negative, len(negative))) for _ in range(n_boot)
    ]
    low, high = interval(np.array(resampled))
    return {"auc": float(roc_auc_score(labels, scores)), "ci_low": low, "ci_high": high}


def macro_auc(labels: np.ndarray, scores: np.ndarray, n_boot: int = 1000, seed: int = 0) -> dict[str, float]:
    """Mean over the classes of the area under the ROC curve of each against the others, with a bootstrap interval.

    Args:
        labels: (n,), each a column of the scores.
        scores: (n, classes), the higher, the more likely of that class.
        n_boot: number of resamples by image; each keeps the sizes of the classes.
        seed: of the random draws.

    Returns:
        auc, 0 to 1, with its interval ci_low, ci_high.

    >>> macro_auc(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]), n_boot=10)
    {'auc': 1.0, 'ci_low': 1.0, 'ci_high': 1.0}
    """
    labels, scores = np.asarray(labels), np.asarray(scores)
    classes = range(scores.shape[1])
    area, low, high = _resampled_by_class(
        labels, classes, lambda chosen: _mean_area(labels[chosen], scores[chosen], classes), n_boot, seed
    )
    return {"auc": area, "ci_low": low, "ci_high": high}


def auc_difference(
    labels: np.ndarray, first: np.ndarray, second: np.ndarray, n_boot: int = 1000, seed: int = 0
) -> dict[str, float]:
    """Area under the ROC curve of one network minus that of another on the same images, with a bootstrap interval.

    Args:
        labels: (n,), 0 or 1; or, of several classes, each a column of the scores. Every class occurs.
        first: (n,), the higher, the more likely 1; or (n, classes), the higher, the more likely of that class. Of
            several classes it is the mean area of each against the others, as in `macro_auc`.
        second: the other network's scores of the same images, of the same shape.
        n_boot: number of resamples by image; each keeps the sizes of the classes, and both networks have the same
            images.
        seed: of the random draws.

    Returns:
        difference, -1 to 1, with its interval ci_low, ci_high.

    >>> right, half = np.array([0.1, 0.2, 0.9]), np.array([0.1, 0.9, 0.2])
    >>> auc_difference(np.array([0, 0, 1]), right, half, n_boot=10)["difference"]
    0.5
    """
    labels = np.asarray(labels)
    columns = [np.asarray(one, float).reshape(len(labels), -1) for one in (first, second)]
    classes = [1] if np.ndim(first) == 1 else range(columns[0].shape[1])

    def gap(chosen: np.ndarray) -> float:
        own, other = (_mean_area(labels[chosen], one[chosen], classes) for one in columns)
        return own - other

    estimate, low, high = _resampled_by_class(labels, np.unique(labels), gap, n_boot, seed)
    return {"difference": estimate, "ci_low": low, "ci_high": high}


def _resampled_by_class(
    labels: np.ndarray, classes: Iterable[int], statistic: Callable[[np.ndarray], float], n_boot: int, seed: int
) -> tuple[float, float, float]:
    """A statistic of the chosen images, and its bootstrap interval; each resample keeps the sizes of the classes."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == label) for label in classes]
    resampled = [statistic(np.concatenate([rng.choice(m, len(m)) for m in members])) for _ in range(n_boot)]
    return (statistic(np.arange(len(labels))), *interval(np.array(resampled)))


def _mean_area(labels: np.ndarray, scores: np.ndarray, classes: Iterable[int]) -> float:
    """Mean area of the classes, each against the others; scores: (n, classes)."""
    areas = [_rank_auc(s[labels == c], s[labels != c]) for s, c in zip(scores.T, classes, strict=True)]
    return float(np.mean(areas))


def _rank_auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Share of (positive, negative) pairs in the right order, ties counting one half."""
    ranked = np.sort(negative)
    below = np.searchsorted(ranked, positive, "left") + np.searchsorted(ranked, positive, "right")
    return float(below.mean() / (2 * len(negative)))
