"""What may be said of the networks whose maps are compared: which classify better, and whether training was done."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from saltrust.analysis.words import listed
from saltrust.core.formatting import written
from saltrust.stats.bootstrap import auc_difference
from saltrust.study.study import Study


def called(title: str) -> str:
    """What a network is called in a list, where a comma would part its note from its name.

    >>> called("InceptionV3, replicate"), called("DenseNet121")
    ('InceptionV3 (replicate)', 'DenseNet121')
    """
    name, _, note = title.partition(", ")
    return f"{name} ({note})" if note else name


def auc_differences(study: Study, n_boot: int = 1000) -> pd.DataFrame:
    """Test AUC of the networks that stand beside the main one, minus the main one's, image by image.

    Args:
        study: Whose classifiers are compared.
        n_boot: Bootstrap resamples of the images, the same for both networks.

    Returns:
        One row for each other classifier: model, difference, ci_low and ci_high (the 95 % interval).
    """
    networks, test = study.networks, study.images.split("test")
    binary = test.absent is not None  # else every image has the finding, and its class is what is told
    labels = test.present.astype(int) if binary else test.labels
    scores = {
        name: np.array(networks.trained(name).record["test_scores" if binary else "test_probabilities"])
        for name in networks.classifiers
    }
    rows = [
        {"model": name, **auc_difference(labels, scores[name], scores[networks.main], n_boot, study.seed)}
        for name in networks.classifiers
        if name != networks.main
    ]
    return pd.DataFrame(rows, columns=["model", "difference", "ci_low", "ci_high"])


def compared(differences: pd.DataFrame, title: Callable[[str], str], main: str) -> str:
    """Whether the other networks classify as well as the main one, in sentences that the intervals decide.

    Args:
        differences: From `auc_differences`.
        title: What a network is called.
        main: What the main network is called.

    >>> row = {"model": "net-2", "difference": 0.05, "ci_low": 0.02, "ci_high": 0.08}
    >>> compared(pd.DataFrame([row]), str, "net-1")
    'net-2 classifies better than net-1, by 0.050 (0.020 to 0.080).'
    """
    if differences.empty:
        return "There is no other network to compare it with."
    return " ".join(f"{title(row.model)} {_judged(row, main)}." for row in differences.itertuples())


def _judged(row: Any, main: str) -> str:
    if row.ci_low <= 0 <= row.ci_high:
        ends = " to ".join(written(end, "+.3f") for end in (row.ci_low, row.ci_high))
        return f"and {main} cannot be told apart by these images (difference {ends})"
    better = "better" if row.ci_low > 0 else "worse"
    ends = sorted(abs(end) for end in (row.ci_low, row.ci_high))
    return f"classifies {better} than {main}, by {abs(row.difference):.3f} ({ends[0]:.3f} to {ends[1]:.3f})"


def still_improving(records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The networks that were best when their training ended because its plan did, and not for want of improvement.

    Args:
        records: Of the trainings, by network. Of one that was trained elsewhere nothing is known.

    >>> still_improving({"a": {"epochs": 5, "best_epoch": 5}, "b": {"epochs": 5, "best_epoch": 3}, "c": {}})
    ['a']
    """
    return [name for name, record in records.items() if _improving(record)]


def _improving(record: Mapping[str, Any]) -> bool:
    if "stopped" in record:  # a branch, which may also end because it is good enough
        return record["stopped"] == "epochs" and record["best_step"] == record["steps"]
    return "best_epoch" in record and record["best_epoch"] == record["epochs"]


def training_words(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Whether the trainings were done when they ended, in a sentence.

    Args:
        records: Of the trainings, by what the network is called in prose.

    >>> training_words({"U-Net 1": {"epochs": 8, "best_epoch": 8}})
    'Not converged: U-Net 1 was best when its training ended. A longer one may give another network, and other maps.'
    """
    improving = still_improving(records)
    if improving:
        was, its = ("was", "its training ended") if len(improving) == 1 else ("were", "their trainings ended")
        return (
            f"Not converged: {listed(improving)} {was} best when {its}. A longer one may give another network, and "
            "other maps."
        )
    known = [name for name, record in records.items() if {"best_epoch", "stopped"} & set(record)]
    return "No training ended while it still improved." if known else "Nothing is known of the trainings."
