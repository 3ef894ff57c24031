"""The best and the worst example of each criterion, for the figure of the four questions (Arun et al., Fig. 1)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Example:
    """One answer to the question of one criterion: two pictures (height, width) to compare, and the score between them.

    Attributes:
        criterion: a name in CRITERIA.
        answer: "best" or "worst".
        method: that made the map.
        label: the score, in words.
        first: of a score against the truth the image itself (0 to 255), else a map in [0, 1].
        second: a map in [0, 1].
        truth: mask.
    """

    criterion: str
    answer: str
    method: str
    label: str
    first: np.ndarray
    second: np.ndarray
    truth: np.ndarray


def extremes(frame: pd.DataFrame, score: str, larger: bool) -> list[tuple[str, pd.Series]]:
    """The rows of a tidy frame with the best and the worst score; larger: whether a large score is good."""
    best, worst = frame[score].idxmax(), frame[score].idxmin()
    if not larger:
        best, worst = worst, best
    return [("best", frame.loc[best]), ("worst", frame.loc[worst])]
