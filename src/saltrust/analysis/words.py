"""Results in words: what captions, alternative texts and quotes of several chapters say in the same way."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from saltrust.methods.registry import label_of


def in_words(values: Mapping[str, Any] | pd.Series, form: str = ".2f", name: Callable[[str], str] = label_of) -> str:
    """Each name with its value, as an alternative text lists them.

    Args:
        values: What stands behind each name: that of a method, or of whatever `name` takes.
        form: Format of a value.
        name: What each is called.

    >>> in_words({"smoothgrad": 0.214, "average": 0.3})
    'SG 0.21, AVG 0.30'
    """
    return ", ".join(f"{name(key)} {value:{form}}" for key, value in values.items())


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them.

    >>> listed(["a", "b", "c"]), listed(["a"])
    ('a, b and c', 'a')
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def best_and_worst(means: pd.Series, score: str, prefix: str = "") -> dict[str, Any]:
    """The methods with the highest and the lowest mean, and their means, named as prose quotes them.

    Args:
        means: Mean score by method.
        score: What the score is called in the names of the quotes.
        prefix: What these names begin with.

    >>> best_and_worst(pd.Series({"ig": 0.5, "grad": 0.25}), "auprc")
    {'best_map': 'IG', 'best_auprc': 0.5, 'worst_map': 'GRAD', 'worst_auprc': 0.25}
    """
    found = {"best_map": label_of(means.idxmax()), f"best_{score}": float(means.max())}
    found |= {"worst_map": label_of(means.idxmin()), f"worst_{score}": float(means.min())}
    return {f"{prefix}{name}": value for name, value in found.items()}
