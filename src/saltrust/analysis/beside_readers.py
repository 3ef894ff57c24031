"""Maps beside readers, in tables and words: what each rater scores, who could replace whom, and what was left out."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from saltrust.analysis.readers import AVERAGE
from saltrust.analysis.words import listed
from saltrust.artefacts.readers import OVERLAPS
from saltrust.methods.registry import label_of
from saltrust.scores.agreement import AGREEMENT, counted
from saltrust.scores.consensus import staple, voted
from saltrust.stats.alternative_annotator import alternative_annotator
from saltrust.stats.bootstrap import difference, summarize
from saltrust.study.readers import DRAWN, MODES, ReaderStudy

KEY = ["rater", "mode", "reference", "score"]
PUBLISHED = {
    "AUPRC, worst map": 0.438,
    "AUPRC, best map": 0.590,
    "AUPRC, readers": 0.816,
    "repeatability, worst map": 0.427,
    "repeatability, best map": 0.551,
    "reproducibility, worst map": 0.250,
    "reproducibility, best map": 0.502,
    "IoU, readers": 0.613,
}
"""What the abstract of Venkatesh et al. reports: trapezoid AUPRC and IoU, of boxes."""


def with_average(frame: pd.DataFrame) -> pd.DataFrame:
    """Scores with those of the average reader: of each image, the mean over its readers."""
    readers = frame[frame["mode"] == DRAWN]
    return pd.concat([frame, readers.assign(rater=AVERAGE)], ignore_index=True)


def table(frame: pd.DataFrame, reading: ReaderStudy, n_boot: int, by: Sequence[str] = KEY) -> pd.DataFrame:
    """Means with their intervals over patients.

    Args:
        frame: image, the columns of `by`, value.
        reading: whose images they are.
        n_boot: resamples of an interval.
        by: columns that tell the rows apart.

    Returns:
        Columns `by`, mean, ci_low, ci_high, n (images that have the score).
    """
    found = summarize(frame, "value", [*by], n_boot, reading.study.seed, reading.study.images.clusters)
    return found[[*by, "mean", "ci_low", "ci_high", "n"]]


def by_subgroup(frame: pd.DataFrame, reading: ReaderStudy) -> pd.DataFrame:
    """Scores once more for each way to group the images: columns grouping and subgroup beside those of the frame."""
    parts = []
    for grouping, groups in reading.subgroups.items():
        of = dict(zip(reading.ids, groups, strict=True))
        parts.append(frame.assign(grouping=grouping, subgroup=frame["image"].map(of)))
    return pd.concat(parts, ignore_index=True)


def between_subgroups(frame: pd.DataFrame, n_boot: int, reading: ReaderStudy) -> pd.DataFrame:
    """How far each rater's best subgroup lies from its worst, as unlike images: what one mean over all hides.

    Args:
        frame: image, rater, grouping, subgroup, value, of one score.
        n_boot: resamples of an interval.
        reading: whose images they are.

    Returns:
        A row for each rater and grouping: best, worst (subgroups), difference of their means, ci_low, ci_high.
    """
    rows = []
    for (rater, grouping), own in frame.groupby(["rater", "grouping"], sort=False):
        images = own.groupby(["subgroup", "image"])["value"].mean().dropna()
        means = images.groupby("subgroup").mean()
        best, worst = means.idxmax(), means.idxmin()
        members = reading.study.images.clusters
        units = None if members is None else np.array([members.get(i, i) for i in images[best].index])
        gap = difference(
            images[best].to_numpy(), images[worst].to_numpy(), paired=False, n_boot=n_boot, seed=reading.study.seed,
            clusters=units,
        )  # fmt: skip
        rows.append({"rater": rater, "grouping": grouping, "best": best, "worst": worst, **gap})
    return pd.DataFrame(rows)


def empty_maps(reading: ReaderStudy, methods: Sequence[str]) -> pd.DataFrame:
    """How many maps are left without a pixel by each mode: columns rater, maps, and one for each mode; and readers who
    drew nothing, under "drawn"."""
    rows = []
    for rater, maps in reading.raters(methods).items():
        empty = {mode: int((~(reading.kept(rater, maps, mode) > 0).any(axis=(1, 2))).sum()) for mode in MODES}
        rows.append({"rater": rater, "maps": len(reading.ids), **empty})
    rows += [
        {"rater": name, "maps": len(reading.ids), DRAWN: int((~masks.any(axis=(1, 2))).sum())}
        for name, masks in zip(reading.readers, reading.drawn, strict=True)
    ]
    return pd.DataFrame(rows).astype({mode: "Int64" for mode in (*MODES, DRAWN)})


def consensus_beside_exact(reading: ReaderStudy, n_boot: int) -> pd.DataFrame:
    """How well each way to join the readers finds the exact truth, and each reader alone.

    Args:
        reading: of data whose exact truth is known.
        n_boot: resamples of an interval.

    Returns:
        Columns truth (the way, or the reader), score, mean, ci_low, ci_high, n.
    """
    drawn, exact = reading.drawn, reading.exact
    ways = {
        "2 votes": voted(drawn, 2),
        "union": drawn.any(axis=0),
        "intersection": drawn.all(axis=0),
        "STAPLE": np.stack([staple(masks).mask for masks in drawn.transpose(1, 0, 2, 3)]),
    } | dict(zip(reading.readers, drawn, strict=True))
    parts = []
    for name, masks in ways.items():
        counts = counted(masks, exact)
        parts += [
            pd.DataFrame({"image": reading.ids, "truth": name, "score": score, "value": AGREEMENT[score](counts)})
            for score in OVERLAPS
        ]
    return table(pd.concat(parts, ignore_index=True), reading, n_boot, ["truth", "score"])


def replacements(reading: ReaderStudy, methods: Sequence[str], score: str, n_boot: int) -> pd.DataFrame:
    """May a map take the place of a reader? The alternative annotator test, against the consensus of the others.

    Args:
        reading: whose readers they are.
        methods: names in METHODS; edges and the localizer stand beside.
        score: a name in `artefacts.readers.SCORES`.
        n_boot: resamples.

    Returns:
        Columns rater, winning_rate (share of readers that the rater could replace), advantage (share of images in
        which it fits the others as well as the reader does), ci_low, ci_high (of the advantage), passed.
    """
    rows = []
    for rater, maps in reading.raters(methods).items():
        own, readers = reading.alignments(rater, maps, score)
        own = np.where(reading.judged, own, np.nan)
        found = alternative_annotator(own, readers, clusters=reading.clusters, n_boot=n_boot, seed=reading.study.seed)
        numbers = {name: getattr(found, name) for name in ("winning_rate", "advantage", "ci_low", "ci_high", "passed")}
        rows.append({"rater": rater, **numbers})
    return pd.DataFrame(rows)


def by_training(reading: ReaderStudy, methods: Sequence[str], n_boot: int) -> pd.DataFrame:
    """What maps are worth as networks learn from fewer images.

    Args:
        reading: of the networks that learned from all.
        methods: names in METHODS.
        n_boot: resamples of an interval.

    Returns:
        Columns share, images (of training), auc (of the main network), method, criterion, score, mean, ci_low, ci_high,
        n, in the mode of the protocol.
    """
    protocol, frames = reading.study.protocol, []
    for share, one in by_share(reading).items():
        against = one.maps_against(methods, [reading.choices.mode])
        chosen = (against["reference"] == reading.choices.reference) & (against["score"] == protocol.auprc)
        utility = against[chosen & against["rater"].isin(methods)].assign(reference="utility")
        between = one.between(methods, [reading.choices.mode])
        rows = pd.concat([utility, between[(between["score"] == "iou") & between["rater"].isin(methods)]])
        rows = rows.rename(columns={"rater": "method", "reference": "criterion"})
        found = table(rows, reading, n_boot, ["method", "criterion", "score"])
        test, record = one.study.images.split("test"), one.study.networks.trained().record
        found.insert(0, "auc", roc_auc_score(test.present, record["test_scores"]))
        found.insert(0, "images", one.study.images.artefact("train").count)
        found.insert(0, "share", share)
        frames.append(found)
    return pd.concat(frames, ignore_index=True)


def ends_of_training(learned: pd.DataFrame) -> dict[str, float]:
    """What the networks that learned from all images, and from the fewest, are worth: by how prose quotes them, the AUC
    of the main network and the mean AUPRC of its maps. learned: from `by_training`."""
    utility, found = learned[learned["criterion"] == "utility"], {}
    for place, share in (("all", learned["share"].max()), ("fewest", learned["share"].min())):
        own = utility[utility["share"] == share]
        numbers = {"images": int(own["images"].iloc[0]), "auc": own["auc"].iloc[0], "auprc": own["mean"].mean()}
        found |= {f"{name}_{place}": value for name, value in numbers.items()}
    return found


def by_share(reading: ReaderStudy) -> dict[float, ReaderStudy]:
    """The same of networks that learned from a share of the training images, from all of them down; of a user's own
    models, these alone."""
    shares = () if reading.study.card.models else reading.study.profile.shares
    return {1.0: reading} | {share: ReaderStudy(reading.study.with_training(share)) for share in shares}


def beside_published(means: pd.DataFrame, reading: ReaderStudy, methods: Sequence[str]) -> pd.DataFrame:
    """The numbers of the study's abstract beside those of the same kind here: the consensus that holds each reader, and
    the area by trapezoids. The abstract does not say in which mode maps find what they find.

    Args:
        means: from `table`.
        reading: whose numbers they are.
        methods: names in METHODS.

    Returns:
        Columns what, published, and raw and boxes, by the mode of the maps here.
    """
    own = means[means["rater"].isin(methods)]
    readers = means[(means["rater"] == AVERAGE) & (means["reference"] == "consensus")].set_index("score")["mean"]
    here = {"AUPRC, readers": dict.fromkeys(("raw", "boxes"), readers["trapezoid"]), "IoU, readers": {}}
    here["IoU, readers"]["boxes"] = readers["iou"]
    asked = {"AUPRC": ("consensus", "trapezoid", ("raw", "boxes"))}
    asked |= {criterion: (criterion, "iou", ("boxes",)) for criterion in reading.study.criteria.partners}
    for what, (reference, score, modes) in asked.items():
        chosen = own[(own["reference"] == reference) & (own["score"] == score)]
        by_mode = chosen.groupby("mode")["mean"]
        here[f"{what}, worst map"] = {mode: by_mode.min()[mode] for mode in modes}
        here[f"{what}, best map"] = {mode: by_mode.max()[mode] for mode in modes}
    return pd.DataFrame({"what": what, "published": value, **here.get(what, {})} for what, value in PUBLISHED.items())


def answer(verdicts: pd.DataFrame, flipped: pd.DataFrame) -> str:
    """What the verdicts come to, in two sentences.

    Args:
        verdicts: from `reader_verdicts.by_criterion`.
        flipped: from `reader_verdicts.flips`.
    """
    passed = verdicts["verdict"].eq("PASS")
    whole = passed.groupby(verdicts["method"], sort=False).all()
    names = [label_of(name) for name in whole.index[whole]]
    first = f"{listed(names)} pass{'es' if len(names) == 1 else ''} every test beside readers." if names else (
        "No method passes every test beside readers."
    )  # fmt: skip
    iou = flipped[flipped["score"].eq("iou")]
    n, of = int(iou["flipped"].sum()), len(iou)
    if not n:
        return f"{first} What readers are held against changes no verdict on IoU."
    return (
        f"{first} Of {of} verdicts on IoU between networks, {n} depend on whether readers are held against a consensus "
        "that holds them or against each other."
    )
