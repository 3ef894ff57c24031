"""What the figures of Tjoa & Guan show of five-band scores: points by branch, curves against the diagonal, depth; and
the authors' own values, read from the pictures in their notebooks."""

import pandas as pd

from saltrust.core import paths
from saltrust.core.errors import unknown_name
from saltrust.stats.bootstrap import crossed

PUBLISHED = paths.BOOK / "tjoa2020_figures.csv"


def branch_points(frame: pd.DataFrame, kind: str = "avg", spread: bool = False) -> pd.DataFrame:
    """A point of recall and precision for each branch (Fig. 3).

    Args:
        frame: Columns method, network, branch, recall_<kind> and precision_<kind>, a row for each image.
        kind: "avg" or "best", over the soft thresholds.
        spread: Whether the standard deviations over images are given too.

    Returns:
        One row for each method, network and branch: method, network, branch, recall, precision[, recall_sd,
        precision_sd].

    >>> frame = pd.DataFrame({"method": "ig", "network": "net", "branch": 1,
    ...                       "recall_avg": [0.0, 0.5], "precision_avg": [1.0, 1.0]})
    >>> branch_points(frame)[["recall", "precision"]].to_numpy().tolist()
    [[0.25, 1.0]]
    """
    found = {score: (f"{score}_{kind}", "mean") for score in ("recall", "precision")}
    if spread:
        found |= {f"{score}_sd": (f"{score}_{kind}", "std") for score in ("recall", "precision")}
    return frame.groupby(["method", "network", "branch"], sort=False).agg(**found).reset_index()


def curve_places(curves: pd.DataFrame) -> pd.DataFrame:
    """Where each ROC curve lies, and how fast its recall grows (Fig. 4 and Section IV-B).

    Args:
        curves: Columns network, method, fpr and recall, from the strictest threshold to the laxest.

    Returns:
        By network and method: gap, the mean of recall minus false positive rate; place among the methods of the network
        by the rate at which recall grows with the false positive rate, 1 for the highest; place_swapped, the same with
        the axes of the published figure, which are swapped.

    >>> points = [("ig", 0.0, 0.0), ("ig", 0.5, 1.0), ("grad", 0.0, 0.0), ("grad", 0.5, 0.25)]
    >>> curves = pd.DataFrame(points, columns=["method", "fpr", "recall"]).assign(network="net")
    >>> curve_places(curves).loc["net"].to_dict("index")["ig"]
    {'gap': 0.25, 'place': 1.0, 'place_swapped': 2.0}
    """
    by = ["network", "method"]
    ends = curves.groupby(by)[["fpr", "recall"]].agg(["first", "last"])
    rate = (ends["recall"]["last"] - ends["recall"]["first"]) / (ends["fpr"]["last"] - ends["fpr"]["first"])
    return pd.DataFrame(
        {
            "gap": curves.assign(gap=curves["recall"] - curves["fpr"]).groupby(by)["gap"].mean(),
            "place": rate.groupby("network").rank(ascending=False),
            "place_swapped": (1 / rate).groupby("network").rank(ascending=False),
        }
    )


def published_points(figure: str = "3A", images: str = "all") -> pd.DataFrame:
    """The authors' values of one figure, all branches together; the file says how they were read.

    Args:
        figure: "3A" (average), "3B" (best), "3C" (best, clamped) or "4" (the furthest point of a ROC curve).
        images: "all"; of Fig. 3A also "right" (only right predictions) and "with a cell".

    Returns:
        Indexed by network and method: recall and precision of Fig. 3, recall and fpr of Fig. 4, good to about 0.01.

    Raises:
        SaltrustError: the file has no such figure, or not for these images.

    Source:
        etjoa003/explainable_ai, xai_basic/analysis: outputs of the notebooks that drew Fig. 3 and 4.

    >>> published_points().loc[("alexnet", "saliency"), "recall"].item()
    0.143
    """
    found = pd.read_csv(PUBLISHED, comment="#")
    for column, wanted in (("figure", figure), ("images", images)):
        if wanted not in set(found[column]):
            raise unknown_name(f"published {column}", wanted, sorted(set(found[column])))
        found = found[found[column] == wanted]
    return found.set_index(["network", "method"]).drop(columns=["figure", "images"]).dropna(axis=1)


def beside_published(scores: pd.DataFrame, absent: int) -> pd.DataFrame:
    """Average recall and precision beside those of Fig. 3A, for each choice of images that the authors plotted.

    Args:
        scores: Columns label, predicted, network, method, recall_avg and precision_avg, a row for each image; those
            without a cell among them.
        absent: Label of the images without a cell.

    Returns:
        Columns images ("all", "right" or "with a cell"), network, method, recall, recall_published, precision,
        precision_published; the published ones NaN for what is not in the paper.

    >>> row = {"label": 0, "predicted": 0, "network": "alexnet", "method": "saliency"}
    >>> found = beside_published(pd.DataFrame([{**row, "recall_avg": 0.5, "precision_avg": 0.25}]), absent=9)
    >>> found[["images", "recall", "recall_published"]].to_numpy().tolist()[0]
    ['all', 0.5, 0.143]
    """
    right, with_cell = scores["label"] == scores["predicted"], scores["label"] != absent
    chosen = {"all": scores, "right": scores[right], "with a cell": scores[with_cell]}
    tables = []
    for images, rows in chosen.items():
        means = rows.groupby(["network", "method"], sort=False)[["recall_avg", "precision_avg"]].mean()
        means.columns = ["recall", "precision"]
        joined = means.join(published_points("3A", images).add_suffix("_published")).reset_index()
        tables.append(joined.assign(images=images))
    columns = [f"{score}{source}" for score in ("recall", "precision") for source in ("", "_published")]
    return pd.concat(tables, ignore_index=True)[["images", "network", "method", *columns]]


def scores_by_depth(scores: pd.DataFrame, accuracies: pd.DataFrame, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Accuracy, recall and precision by the number of layers that were added to a network (appendix Fig. 1).

    Args:
        scores: Columns image, layers, branch, recall_avg and precision_avg, a row for each method.
        accuracies: Columns layers and accuracy, a row for each branch.
        n_boot: Bootstrap resamples of branches and images.
        seed: Of the resamples.

    Returns:
        One row for each number of layers: layers, accuracy, and mean over the methods with interval of each score.

    >>> scores = pd.DataFrame({"image": "a", "layers": [1, 1, 2, 2], "branch": 1,
    ...                        "recall_avg": [0.0, 1.0, 0.25, 0.25], "precision_avg": 0.5})
    >>> found = scores_by_depth(scores, pd.DataFrame({"layers": [1, 2], "accuracy": [0.9, 0.8]}))
    >>> found[["layers", "accuracy", "recall_avg"]].to_numpy().tolist()
    [[1.0, 0.9, 0.5], [2.0, 0.8, 0.25]]
    """
    columns = ["recall_avg", "precision_avg"]
    over_methods = scores.groupby(["image", "layers", "branch"], as_index=False)[columns].mean()
    summary = crossed(over_methods, columns, ["layers"], n_boot, seed)
    summary.insert(1, "accuracy", summary["layers"].map(accuracies.groupby("layers")["accuracy"].mean()))
    return summary
