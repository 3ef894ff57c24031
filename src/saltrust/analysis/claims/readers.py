"""What claims about maps beside readers are tested on (Venkatesh et al. 2024): AUPRC and IoU, image by image.

All of it is made from one table, `by_image`. Columns are methods, and the average reader against one of REFERENCES.
"""

from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from saltrust.analysis.claims.checks import CHECKS, Outcome, none_of
from saltrust.analysis.claims.tables import TABLES, Evidence
from saltrust.analysis.readers import AVERAGE
from saltrust.artefacts import Artefact
from saltrust.artefacts.readers import AREAS
from saltrust.methods.registry import VENKATESH_SIX
from saltrust.study.readers import DRAWN, ReaderStudy
from saltrust.study.study import Study
from saltrust.study.verdict import VerdictCell, judge

REFERENCES = ("consensus", "others", "pairwise")
"""What the marks of a reader are held against: the consensus that holds them, that of the other readers, each other
reader."""

PARTNERS = {"reader_repeatability": "repeatability", "reader_reproducibility": "reproducibility"}
"""The criterion by which two networks' maps are compared, by the table of it."""


def by_image(study: Study) -> pd.DataFrame:
    """The six methods and the readers, image by image.

    Returns:
        Columns of `study.readers`, and subgroup, what the image shows. Areas under a curve are of the images that count
        by the protocol in what maps find.
    """
    reading = ReaderStudy(study)
    mode = [reading.choices.mode]
    parts = [reading.maps_against(VENKATESH_SIX, mode), reading.readers_against(), reading.between(VENKATESH_SIX, mode)]
    rows = pd.concat(parts, ignore_index=True)
    groups = reading.subgroups.get("finding", reading.subgroups["size"])
    rows["subgroup"] = rows["image"].map(dict(zip(reading.ids, groups, strict=True)))
    left_out = rows["score"].isin(AREAS) & ~rows["image"].isin(reading.ids[reading.judged])
    return rows[~left_out]


def made_from(study: Study) -> Iterable[Artefact]:
    """What that is made from, but for scores."""
    return ReaderStudy(study).artefacts(VENKATESH_SIX, cascade=False)


def average_reader(rows: pd.DataFrame, score: str) -> pd.DataFrame:
    """What the average reader scores: the mean over the readers of an image.

    Args:
        rows: as from `by_image`.
        score: whose values are taken.

    Returns:
        Images x references, a column "average reader, <reference>" for each that the rows have.

    >>> rows = pd.DataFrame({"image": "a", "rater": ["one", "two"], "mode": "drawn", "reference": "pairwise",
    ...                      "score": "iou", "value": [0.2, 0.4]})
    >>> average_reader(rows, "iou").round(6).to_dict("list")
    {'average reader, pairwise': [0.3]}
    """
    own = rows[(rows["mode"] == DRAWN) & (rows["score"] == score) & rows["reference"].isin(REFERENCES)]
    each = own.groupby(["image", "reference", "rater"], sort=False)["value"].mean()
    table = each.groupby(["image", "reference"], sort=False).mean().unstack()
    return table[[name for name in REFERENCES if name in table]].rename(columns=column_of).rename_axis(columns=None)


def column_of(reference: str) -> str:
    """The column of the average reader against a reference.

    >>> column_of("others")
    'average reader, others'
    """
    return f"{AVERAGE}, {reference}"


def beside_readers(rows: pd.DataFrame, mode: str, reference: str, score: str) -> pd.DataFrame:
    """Methods and the average reader, image by image.

    Args:
        rows: as from `by_image`.
        mode: of the maps.
        reference: that maps are held against. The average reader stands beside, against each of REFERENCES.
        score: of both.

    Returns:
        Images x columns, methods first.

    Raises:
        KeyError: the rows have no such maps.
    """
    own = rows[(rows["mode"] == mode) & (rows["reference"] == reference) & (rows["score"] == score)]
    if own.empty:
        raise KeyError(f"no maps in the mode '{mode}' against '{reference}' by '{score}'")
    methods = own.groupby(["image", "rater"], sort=False)["value"].mean().unstack()[own["rater"].unique()]
    return methods.rename_axis(columns=None).join(average_reader(rows, score))


def above_readers(rows: pd.DataFrame, mode: str, score: str, against: str = "consensus") -> pd.DataFrame:
    """By how much the six methods lie above the average reader in finding the truth, in each subgroup.

    Args:
        rows: as from `by_image`.
        mode: of the maps.
        score: of both.
        against: of REFERENCES, what readers' marks are held against.

    Returns:
        Images x columns "<subgroup>/<method>"; NaN for an image of another subgroup.
    """
    table = beside_readers(rows, mode, "consensus", score)
    own = [method for method in VENKATESH_SIX if method in table]
    gaps = table[own].sub(table[column_of(against)], axis=0)
    subgroups = rows.groupby("image", sort=False)["subgroup"].first()[gaps.index]
    parts = [gaps[subgroups == name].add_prefix(f"{name}/") for name in subgroups.unique()]
    return pd.concat(parts, axis=1).reindex(gaps.index)


def judged(evidence: Evidence, than: str) -> pd.DataFrame:
    """Each method against the average reader, and in the cascade against maps of different images.

    Args:
        evidence: of a study with readers.
        than: the column of the average reader.

    Returns:
        The columns of `judge`. The criteria that need readers are called as their tables are.
    """
    cells = []
    for table in ("reader_utility", *PARTNERS):
        scores = evidence.table(table)
        clusters = evidence.clusters(scores.index)
        sides = {"reference": scores[than].to_numpy(), "clusters": clusters, "against": than}
        cells += [
            VerdictCell(method=method, criterion=table, baseline=than, values=scores[method].to_numpy(), **sides)
            for method in VENKATESH_SIX
        ]
    found = judge(cells, evidence.study.protocol, evidence.n_boot, evidence.seed)
    of_weights = evidence.verdicts.query("criterion == 'randomization' and method in @VENKATESH_SIX")
    return pd.concat([found, of_weights], ignore_index=True)


# --- tables -----------------------------------------------------------------------------------------------------------


@TABLES.register("reader_scores")
def _scores(evidence: Evidence) -> pd.DataFrame:
    return by_image(evidence.study)


@TABLES.register("reader_utility")
def _utility(evidence: Evidence) -> pd.DataFrame:
    """AUPRC, by the protocol's definition."""
    return beside_readers(evidence.table("reader_scores"), _mode(evidence), "consensus", evidence.study.protocol.auprc)


@TABLES.register("reader_subgroups")
def _subgroups(evidence: Evidence) -> pd.DataFrame:
    """By how much it is above the average reader's, in each subgroup."""
    return above_readers(evidence.table("reader_scores"), _mode(evidence), evidence.study.protocol.auprc)


def _alike(reference: str) -> Callable[[Evidence], pd.DataFrame]:
    """IoU of two networks' maps."""
    return lambda evidence: beside_readers(evidence.table("reader_scores"), _mode(evidence), reference, "iou")


def _mode(evidence: Evidence) -> str:
    return evidence.study.protocol.readers.mode


for _table, _reference in PARTNERS.items():
    TABLES.register(_table)(_alike(_reference))


# --- checks -----------------------------------------------------------------------------------------------------------


@CHECKS.register("none_reaches_readers")
def none_reaches_readers(evidence: Evidence, than: str) -> Outcome:
    """No method is as good as the average reader in finding, repeatability and reproducibility, and depends on the
    weights besides. than: the column of the average reader."""
    return none_of(evidence, judged(evidence, than))


@CHECKS.register("printed_below")
def printed_below(evidence: Evidence | None, of: Sequence[float], than: Sequence[float]) -> Outcome:
    """Each of the paper's own numbers lies below the one that it is compared with; needs no evidence."""
    gaps = [other - own for own, other in zip(of, than, strict=True)]
    least = min(gaps)
    return Outcome(
        f"{sum(gap > 0 for gap in gaps)} of {len(gaps)} below, by {least:.3g} at least",
        "yes" if least > 0 else "no",
        "the paper's own numbers",
        least,
    )
