"""What a run is too small to tell: which columns of a table cannot answer a claim, and why.

A limit is a function (evidence, table) -> {column: reasons}. A reason says what the run has and, where the papers or a
protocol ask for more, how much that is. A claim that rests on such a column is neither held nor refused by it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from saltrust.core.profiles import PROFILES, Profile
from saltrust.core.protocols import PROTOCOLS, Protocol
from saltrust.core.registry import Registry
from saltrust.methods.registry import METHODS, PAPER_EIGHT
from saltrust.stats.bootstrap import clusters_of
from saltrust.study.criteria import CRITERIA
from saltrust.study.shapley import KINDS, ShapleyStudy

if TYPE_CHECKING:
    from saltrust.analysis.claims.tables import Evidence

LEAST_IMAGES = 20  # of a bootstrap interval: for normal scores it then covers the mean in 93 %, with 5 images in 84 %
LEAST_GRID = PROTOCOLS["corrected"].cam_min_grid  # positions a side from which a class activation map can point

Reasons = Mapping[str, str | Sequence[str]]
"""Why a column cannot answer, one reason or several, by column; one that can has none."""

LIMITS: Registry[Callable[["Evidence", str], Reasons]] = Registry("limit")
"""By name: (evidence, a name in TABLES) -> reasons."""

MADE_OF = {"utility_by_model": PAPER_EIGHT, "cascade": ("guided_backprop",)}
"""The methods behind every column of a table whose columns are not called after methods."""

RESAMPLED = ("alarm_experiments", "alarm_f1", "alarm_first_quartile", "alarm_median")
"""Tables whose first row is of the images as they are, and every other of a resample of them."""
OF_FINDINGS = (*RESAMPLED, "alarm_found", "alarm_cleared", "alarm_flagged")
"""Tables about the network of a data set with several findings."""

OF_CONTRAST = ("erased",)
"""Tables about the small networks of a data set whose card names a `contrast`."""

OF_READERS = {
    "reader_utility": "utility",
    "reader_subgroups": "utility",
    "reader_repeatability": "repeatability",
    "reader_reproducibility": "reproducibility",
}
"""Tables of methods beside readers, each with the criterion that has the same maps. A column may begin with a subgroup,
"<subgroup>/<method>"."""

COUNTED = {"samples": "noisy copies", "steps": "steps"}
"""Parameters of methods that the profile cuts, in words."""


def limits(evidence: "Evidence", table: str) -> dict[str, tuple[str, ...]]:
    """Why columns of a table cannot answer, by all limits: each reason once."""
    return merged(*(limit(evidence, table) for limit in LIMITS.values()))


def merged(*several: Reasons) -> dict[str, tuple[str, ...]]:
    """All reasons of each column, each once.

    >>> merged({"ig": "5 images"}, {"ig": ["5 images", "5 of 25 steps"], "xrai": []})
    {'ig': ('5 images', '5 of 25 steps')}
    """
    found: dict[str, dict[str, None]] = {}
    for reasons in several:
        for column, whys in reasons.items():
            if whys:
                found.setdefault(column, {}).update(dict.fromkeys([whys] if isinstance(whys, str) else whys))
    return {column: tuple(whys) for column, whys in found.items()}


@LIMITS.register("few_images")
def few_images(evidence: "Evidence", table: str) -> Reasons:
    """Too few images (of which patients are one each), or pairs of images, for an interval."""
    if table in RESAMPLED:
        return {}
    scores = evidence.table(table)
    pairs = table == "threshold"
    members = None if pairs else clusters_of(scores.index, evidence.study.images.clusters)
    unit = "pair of images" if pairs else evidence.study.images.unit
    found = {}
    for column in scores:
        known = scores[column].notna().to_numpy()
        units = known.sum() if members is None else len(np.unique(members[known]))
        if units < LEAST_IMAGES:
            found[column] = [few(units, unit)]
    return found


def few(number: int, unit: str) -> str:
    """ "1 image", "5 images", "2 pairs of images"."""
    head, space, rest = unit.partition(" ")
    return f"{number} {head}{'' if number == 1 else 's'}{space}{rest}"


@LIMITS.register("few_passes")
def few_passes(evidence: "Evidence", table: str) -> Reasons:
    """Fewer noisy copies, or steps of a path, than the protocol asks for: the profile cuts them."""
    return {
        column: [why for method in methods for why in _cut(method, evidence.study.protocol, evidence.study.profile)]
        for column, methods in _methods(evidence, table)
    }


def _cut(method: str, protocol: Protocol, profile: Profile) -> Iterator[str]:
    """What a method is told, beside what it would be told if the profile did not cut it."""
    given = METHODS[method].from_protocol
    uncut = replace(profile, **{name: getattr(PROFILES["full"], name) for name in (*COUNTED, "copy_steps")})
    own, asked = given(protocol, profile), given(protocol, uncut)
    for name in COUNTED:
        if name in asked and own[name] < asked[name]:
            yield f"{own[name]} of {asked[name]} {COUNTED[name]}"


@LIMITS.register("coarse_grid")
def coarse_grid(evidence: "Evidence", table: str) -> Reasons:
    """Class activation maps of a grid that is too coarse to point at anything, on small images."""
    networks, least = evidence.study.networks, evidence.study.protocol.cam_min_grid
    found = {}
    for column, methods in _methods(evidence, table):
        if any(METHODS[method].takes_layer for method in methods):
            names = networks_behind(evidence, table, column)
            sides = [cam_grid(networks.architecture(name), networks.size(name), least) for name in names]
            found[column] = [f"a grid of {n} \N{MULTIPLICATION SIGN} {n}" for n in sides if n < LEAST_GRID]
    return found


@cache
def cam_grid(architecture: str, size: int, min_grid: int) -> int:
    """Positions along a side of the layer that is chosen for class activation maps.

    Args:
        architecture: a name in ARCHITECTURES.
        size: side of the images in pixels.
        min_grid: fewest positions that the protocol allows.
    """
    import torch

    from saltrust.methods.cam_layers import choose_cam_layer
    from saltrust.methods.explained import Explained
    from saltrust.models.architectures import ARCHITECTURES
    from saltrust.models.classifiers import build

    blocks = [module for stage in ARCHITECTURES[architecture].stages for module in stage.modules]
    network = build(architecture).eval()
    layer = choose_cam_layer(network, blocks, size, min_grid)
    return min(Explained(network).grids([layer], torch.zeros(1, 3, size, size))[layer])


@LIMITS.register("unlearned")
def unlearned(evidence: "Evidence", table: str) -> Reasons:
    """Networks that have not learned the task, by the interval of their area under the ROC curve: what their maps show,
    or a localizer's, is no more than chance."""
    study = evidence.study
    if study.card.truth == "graded" or table == "utility_random" or table in (*OF_FINDINGS, *OF_CONTRAST):
        return {}
    areas, found = evidence.networks.set_index("model"), {}
    for column in evidence.table(table):
        names = networks_behind(evidence, table, column)
        found[column] = [
            f"AUC {areas.loc[name, 'auc']:.2f} of {name}" for name in names if areas.loc[name, "ci_low"] <= 0.5
        ]
    return found


@LIMITS.register("unlearned_contrast")
def unlearned_contrast(evidence: "Evidence", table: str) -> Reasons:
    """Small networks that do not tell the classes: of a kind that is right in less than half."""
    if table not in OF_CONTRAST:
        return {}
    digits, poor = ShapleyStudy(evidence.study), {}
    for kind in KINDS:
        right = digits.store.get(digits.network(kind)).record["test_accuracy"]
        if right < 0.5:
            poor[kind] = f"the {kind} network is right in {right:.0%}"
    return {column: poor.get(column.partition("/")[0], ()) for column in evidence.table(table)}


@LIMITS.register("unlearned_classes")
def unlearned_classes(evidence: "Evidence", table: str) -> Reasons:
    """Networks of several classes that are right no more often than who always names the most frequent class."""
    study = evidence.study
    if study.card.truth != "graded" or table == "accuracy":
        return {}
    graded, labels = evidence.graded, study.images.split("test").labels
    often = np.bincount(labels).max() / len(labels)
    networks = graded.deepened if table == "depth" else graded.networks
    right = graded.accuracies(networks).groupby("network")["accuracy"].mean()
    low = right - 1.96 * np.sqrt(right * (1 - right) / len(labels))
    poor = {name: f"{name} is right in {right[name]:.0%}" for name in networks if low[name] <= often}
    return {
        column: [why for name, why in poor.items() if table == "depth" or column.partition("/")[0] == name]
        for column in evidence.table(table)
    }


def networks_behind(evidence: "Evidence", table: str, column: str) -> tuple[str, ...]:
    """The classifiers whose maps are scored in a column of a table, or the localizers."""
    networks, kind = evidence.study.networks, evidence.study.card.localizer
    if table in OF_READERS and _method(table, column) not in METHODS:
        return ()
    table = OF_READERS.get(table, table)
    partner = CRITERIA[table].partner(networks) if table in CRITERIA and CRITERIA[table].partner else None
    if column == "localizer":
        return (f"{kind}-1", f"{kind}-2") if partner else (f"{kind}-1",)
    if column == "average":
        return ()
    if table == "utility_other" or (table, column) == ("utility_by_model", "other"):
        return (networks.other,)
    return (networks.main, partner) if partner else (networks.main,)


def _methods(evidence: "Evidence", table: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each column of a table with the methods behind it, but for those that no method of the registry is behind."""
    for column in evidence.table(table) if table not in OF_FINDINGS else ():
        method = _method(table, column)
        methods = MADE_OF.get(table, (method,) if method in METHODS else ())
        if methods:
            yield column, methods


def _method(table: str, column: str) -> str:
    return column.rpartition("/")[2] if table in OF_READERS else column
