"""What a run is too small to tell: which columns of a table cannot answer a claim, and why.

A limit is a function (evidence, table) -> {column: why}. It says what the run has and, where the papers or a protocol
ask for more, how much that is. A claim that rests on such a column is neither held nor refused by it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from saltrust.core.profiles import PROFILES
from saltrust.core.protocols import PROTOCOLS
from saltrust.core.registry import Registry
from saltrust.methods.registry import METHODS, PAPER_EIGHT
from saltrust.stats.bootstrap import clusters_of
from saltrust.study.criteria import CRITERIA

if TYPE_CHECKING:
    from saltrust.analysis.claims.tables import Evidence

LEAST_IMAGES = 20  # of a bootstrap interval: for normal scores it then covers the mean in 93 %, with 5 images in 84 %
LEAST_GRID = PROTOCOLS["corrected"].cam_min_grid  # positions a side from which a class activation map can point

LIMITS: Registry[Callable[["Evidence", str], Mapping[str, str]]] = Registry("limit")
"""By name: (evidence, a name in TABLES) -> why a column cannot answer, by column."""

MADE_OF = {"utility_by_model": PAPER_EIGHT, "cascade": ("guided_backprop",)}
"""The methods behind every column of a table whose columns are not called after methods."""


def limits(evidence: "Evidence", table: str) -> dict[str, str]:
    """Why columns of a table cannot answer, by column; a column that can is not among them."""
    found: dict[str, list[str]] = {}
    for limit in LIMITS.values():
        for column, why in limit(evidence, table).items():
            found.setdefault(column, []).append(why)
    return {column: ", ".join(reasons) for column, reasons in found.items()}


@LIMITS.register("few_images")
def few_images(evidence: "Evidence", table: str) -> dict[str, str]:
    """Too few images (of which patients are one each), or pairs of images, for an interval."""
    scores = evidence.table(table)
    pairs = table == "threshold"
    members = None if pairs else clusters_of(scores.index, evidence.study.images.clusters)
    unit = "pair of images" if pairs else evidence.study.images.unit
    found = {}
    for column in scores:
        known = scores[column].notna().to_numpy()
        units = known.sum() if members is None else len(np.unique(members[known]))
        if units < LEAST_IMAGES:
            found[column] = few(units, unit)
    return found


def few(number: int, unit: str) -> str:
    """ "1 image", "5 images", "2 pairs of images"."""
    head, space, rest = unit.partition(" ")
    return f"{number} {head}{'' if number == 1 else 's'}{space}{rest}"


@LIMITS.register("few_passes")
def few_passes(evidence: "Evidence", table: str) -> dict[str, str]:
    """Fewer noisy copies, or steps of a path, than the protocol asks for: the profile cuts them."""
    study, found = evidence.study, {}
    for column, methods in _methods(evidence, table):
        short = [
            f"{own[name]} of {number} {name}"
            for method in methods
            for own, asked in [_asked(method, study.protocol, study.profile)]
            for name, number in asked.items()
            if own[name] < number
        ]
        if short:
            found[column] = _joined(short)
    return found


def _asked(method: str, protocol, profile) -> tuple[dict[str, int], dict[str, int]]:
    """The counts that a method is told, and those that it would be told if the profile did not cut them."""
    given = METHODS[method].from_protocol
    whole = replace(profile, **{name: getattr(PROFILES["full"], name) for name in ("samples", "steps")})
    counts = {name: n for name, n in given(protocol, whole).items() if name in ("samples", "steps")}
    own = given(protocol, profile)
    return {name: own[name] for name in counts}, counts


@LIMITS.register("coarse_grid")
def coarse_grid(evidence: "Evidence", table: str) -> dict[str, str]:
    """Class activation maps of a grid that is too coarse to point at anything, on small images."""
    study, found = evidence.study, {}
    for column, methods in _methods(evidence, table):
        if not any(_takes_a_layer(method) for method in methods):
            continue
        grids = [
            cam_grid(study.networks.architecture(name), study.networks.size(name), study.protocol.cam_min_grid)
            for name in networks_behind(evidence, table)
        ]
        coarse = [f"a grid of {side} \N{MULTIPLICATION SIGN} {side}" for side in grids if side < LEAST_GRID]
        if coarse:
            found[column] = _joined(coarse)
    return found


def _takes_a_layer(method: str) -> bool:
    """Whether a method, or one that it is composed of, takes the layer that is chosen for class activation maps."""
    return "layer" in METHODS[method].defaults or any(_takes_a_layer(m) for m, _ in METHODS[method].parts().values())


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
def unlearned(evidence: "Evidence", table: str) -> dict[str, str]:
    """Networks that have not learned the task, by the interval of their area under the ROC curve: what their maps show,
    or a localizer's, is no more than chance."""
    study = evidence.study
    if study.card.truth == "graded" or table == "utility_random":
        return {}
    areas = evidence.networks.set_index("model")
    heat = [f"{study.card.localizer}-{k}" for k in ((1, 2) if networks_behind(evidence, table)[1:] else (1,))]
    found = {}
    for column in evidence.table(table):
        names = {"average": [], "localizer": heat}.get(column, networks_behind(evidence, table))
        chance = [f"AUC {areas.loc[name, 'auc']:.2f} of {name}" for name in names if areas.loc[name, "ci_low"] <= 0.5]
        if chance:
            found[column] = _joined(chance)
    return found


@LIMITS.register("unlearned_classes")
def unlearned_classes(evidence: "Evidence", table: str) -> dict[str, str]:
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
    found = {}
    for column in evidence.table(table):
        own = [why for name, why in poor.items() if table == "depth" or column.partition("/")[0] == name]
        if own:
            found[column] = _joined(own)
    return found


def networks_behind(evidence: "Evidence", table: str) -> tuple[str, ...]:
    """The classifiers whose maps a table scores, the main one first."""
    networks = evidence.study.networks
    others = {"utility_other": (networks.other,), "utility_by_model": (networks.main, networks.other)}
    if table in CRITERIA and CRITERIA[table].partner:
        return networks.main, CRITERIA[table].partner(networks)
    return others.get(table, (networks.main,))


def _methods(evidence: "Evidence", table: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each column of a table with the methods behind it, but for those that no method of the registry is behind."""
    for column in evidence.table(table):
        methods = MADE_OF.get(table, (column,) if column in METHODS else ())
        if methods:
            yield column, methods


def _joined(reasons: list[str]) -> str:
    """Each reason once, in their order."""
    return " and ".join(dict.fromkeys(reasons))
