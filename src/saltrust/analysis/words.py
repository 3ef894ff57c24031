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


def furthest(means: pd.Series, references: pd.Series, form: str = ".3f") -> str:
    """The methods that lie furthest below and above what each is compared with, in a sentence that holds for any side.

    Args:
        means: Mean score by method.
        references: What each is compared with, by method.
        form: Format of a mean.

    >>> references = pd.Series({"ig": 0.5, "xrai": 0.5})
    >>> furthest(pd.Series({"ig": 0.25, "xrai": 0.75}), references)
    'Furthest below is IG with 0.250, furthest above XRAI with 0.750.'
    >>> furthest(pd.Series({"ig": 0.25, "xrai": 0.375}), references)
    'None lies above; furthest below is IG with 0.250, nearest XRAI with 0.375.'
    """
    gaps = (means - references).sort_values(kind="stable")

    def named(method: str) -> str:
        return f"{label_of(method)} with {means[method]:{form}}"

    low, high = gaps.index[0], gaps.index[-1]
    if low == high:
        return f"It lies {'below' if gaps[low] < 0 else 'not below'}: {named(low)}."
    if gaps[low] < 0 < gaps[high]:
        return f"Furthest below is {named(low)}, furthest above {named(high)}."
    if gaps[high] <= 0:
        return f"None lies above; furthest below is {named(low)}, nearest {named(high)}."
    return f"None lies below; furthest above is {named(high)}, nearest {named(low)}."


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
