"""What the numbers of Shu et al. imply: the images behind their percentages, and the means of their Table 1.

Nothing here is measured. All of it follows from what the paper prints, and holds whatever the data are.
"""

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd

from saltrust.core.errors import SaltrustError

IMAGES = 284  # of the test set
SENSITIVITIES = (0.690, 0.724)  # consolidation: of the baselines, and of INFORMER with LRP
SPECIFICITIES = (0.514, 0.510)  # of predictive entropy, and of INFORMER with LRP
F1_ENTROPY = 0.231  # consolidation
PATIENTS = 1_500_000  # of whom the paper reckons what an added sensitivity is worth in a year
FINDINGS = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")
IXG, LRP = "Input × Gradient", "LRP"
TABLE = {
    IXG: ((0.648, 0.628, 0.240, 0.609, 0.732), 0.569),
    LRP: ((0.636, 0.655, 0.230, 0.609, 0.732), 0.574),
    "predictive entropy": ((0.636, 0.607, 0.231, 0.609, 0.732), 0.563),
    "test-time augmentation": ((0.636, 0.607, 0.230, 0.609, 0.732), 0.563),
}
"""Table 1: by alarm, F1 of the five findings and the mean as printed."""
_HAIR = 1e-9  # decimal fractions are not exact in binary


def counts_behind(
    n: int,
    sensitivities: tuple[float, float],
    specificities: tuple[float, float],
    f1: float | None = None,
    digits: int = 3,
) -> pd.DataFrame:
    """The whole numbers of images behind rounded percentages: every solution, by trying all.

    Args:
        n: number of images.
        sensitivities: before and after a change of the predictions, as printed.
        specificities: the same.
        f1: before, as printed; None where it is not known.
        digits: decimals of what is printed. A number that lies half-way may have been rounded up or down.

    Returns:
        One row for each solution, by the number of positives: positives; tp_before, tp_after, tn_before, tn_after
        (images with and without the finding that are predicted rightly); f1_before, f1_after, as computed.

    Raises:
        SaltrustError: n is below 2, digits below 1, or a number is not a share.

    Source:
        Shu et al. 2024, section 3, "Clinical Evaluation", has the percentages.

    >>> counts_behind(IMAGES, SENSITIVITIES, SPECIFICITIES, F1_ENTROPY).round(3).T[0].to_dict()
    {'positives': 29.0, 'tp_before': 20.0, 'tp_after': 21.0, 'tn_before': 131.0, 'tn_after': 130.0,
     'f1_before': 0.231, 'f1_after': 0.24}
    """
    given = [*sensitivities, *specificities, *([] if f1 is None else [f1])]
    if n < 2 or digits < 1 or not all(0 <= share <= 1 for share in given):
        raise SaltrustError(f"counts of {n} images behind {given} at {digits} digits: pass 2 images and shares")
    rows = []
    for positives in range(1, n):
        hits = [_counts(positives, share, digits) for share in sensitivities]
        passed = [_counts(n - positives, share, digits) for share in specificities]
        for tp, tp_after, tn, tn_after in itertools.product(*hits, *passed):
            before, after = _f1(tp, tn, positives, n), _f1(tp_after, tn_after, positives, n)
            if f1 is None or abs(before - f1) <= _rounding(digits):
                rows.append((positives, tp, tp_after, tn, tn_after, before, after))
    columns = ["positives", "tp_before", "tp_after", "tn_before", "tn_after", "f1_before", "f1_after"]
    return pd.DataFrame(rows, columns=columns)


def means_of_table(
    table: Mapping[str, tuple[tuple[float, ...], float]] = TABLE, exchanged: str = "Consolidation", digits: int = 3
) -> pd.DataFrame:
    """The means of Table 1 beside what its rows give, and what they give once two cells are exchanged.

    Args:
        table: as `TABLE`, with a row for `IXG` and one for `LRP`.
        exchanged: the finding whose cells of these two rows change places.
        digits: decimals of what is printed.

    Returns:
        One row for each alarm: alarm; printed, the mean as printed; mean, that of its cells; low, high, between which
        it lies as the cells are rounded; agrees, whether some mean in that range is printed so; mean_exchanged and
        agrees_exchanged, the same of the cells after the exchange.

    Raises:
        SaltrustError: the finding is none of the five, or a row is missing.

    Source:
        Shu et al. 2024, Table 1. The exchange is worked out for this project: `counts_behind` gives an F1 of 0.240 to
        the counts of the text, which names LRP; the table has 0.240 in the row of Input × Gradient.

    >>> means_of_table()[["printed", "mean", "agrees", "mean_exchanged", "agrees_exchanged"]].head(2).round(4)
       printed    mean  agrees  mean_exchanged  agrees_exchanged
    0    0.569  0.5714   False          0.5694              True
    1    0.574  0.5724   False          0.5744              True
    """
    if exchanged not in FINDINGS or not {IXG, LRP} <= set(table):
        raise SaltrustError(f"no cells of '{exchanged}' to exchange between {IXG} and {LRP} in rows {', '.join(table)}")
    place, half = FINDINGS.index(exchanged), 0.5 * 10**-digits
    other = {IXG: LRP, LRP: IXG}
    rows = []
    for alarm, (cells, printed) in table.items():
        instead = list(cells)
        instead[place] = table[other.get(alarm, alarm)][0][place]
        mean, changed = float(np.mean(cells)), float(np.mean(instead))
        rows.append(
            {
                "alarm": alarm,
                "printed": printed,
                "mean": mean,
                "low": mean - half,
                "high": mean + half,
                "agrees": abs(mean - printed) <= 2 * _rounding(digits),
                "mean_exchanged": changed,
                "agrees_exchanged": abs(changed - printed) <= 2 * _rounding(digits),
            }
        )
    return pd.DataFrame(rows)


def _counts(n: int, share: float, digits: int) -> range:
    """The counts out of n whose share is printed so."""
    low, high = n * (share - _rounding(digits)), n * (share + _rounding(digits))
    return range(max(int(np.ceil(low)), 0), min(int(np.floor(high)), n) + 1)


def _rounding(digits: int) -> float:
    return 0.5 * 10**-digits + _HAIR


def _f1(tp: int, tn: int, positives: int, n: int) -> float:
    return 2 * tp / (tp + (n - positives - tn) + positives)
