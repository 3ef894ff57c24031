"""Would the verdict change? Every verdict under every combination of the choices of an analysis.

A specification is a protocol with some of its choices replaced. For each method and criterion the choices that bear on
it are crossed, all values of each with all of the others: a balanced factorial, in which what each choice does can be
told apart exactly (specification curve: Simonsohn et al. 2020; multiverse: Steegen et al. 2016).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from saltrust.analysis.multiverse.factors import FACTORS
from saltrust.artefacts.artefact import Artefact
from saltrust.artefacts.maps import SaliencyMaps, in_order
from saltrust.artefacts.scores import ScoreBatch, without_settings
from saltrust.core.progress import track
from saltrust.core.protocols import PROTOCOLS, Protocol
from saltrust.methods.registry import select
from saltrust.stats.bootstrap import clusters_of
from saltrust.study.criteria import CRITERIA, Compared, Scores, images_of, strictest
from saltrust.study.study import Study
from saltrust.study.verdict import VerdictCell, judge


@dataclass(frozen=True)
class Specification:
    """One way to reach one verdict, by what it computes: scores whose mean is compared with that of a reference.

    Attributes:
        choices: label of each varied choice, by name; empty outside the grid.
        protocol: how the scores are computed and judged.
        compared: the method's scores and what they are compared with, as its criterion has it.
        names: the named protocols that it is.
    """

    choices: dict[str, str]
    protocol: Protocol
    compared: Compared
    names: tuple[str, ...] = ()

    @property
    def scores(self) -> tuple[Scores, ...]:
        return self.compared.scores

    @cached_property
    def key(self) -> tuple:
        """Equal for specifications that compute the same."""
        fixed = tuple(one.scores for one in self.compared.low if not isinstance(one.scores, Artefact))
        return tuple(scores.digest for scores in self.scores), fixed, self.protocol.rule

    def settled(self, get: Callable[[Any], Any], larger: bool) -> "Specification":
        """With the one of its low baselines that counts (see `strictest`)."""
        low = strictest(self.compared.low, get, larger)
        return replace(self, compared=replace(self.compared, low=(low,)))


def grid(study: Study, method: str, criterion: str) -> dict[str, tuple[Any, ...]]:
    """The choices that are varied for a method and a criterion, with their values."""
    bearing = {name: f.levels(study, method) for name, f in FACTORS.items() if f.bears_on(CRITERIA[criterion])}
    return {name: values for name, values in bearing.items() if len(values) > 1}


def specifications(study: Study, method: str, criterion: str, of_maps: bool = False) -> list[Specification]:
    """Every combination of the values of `grid` around the study's protocol, the last choice varying fastest; of_maps:
    of those choices only on which the maps depend."""
    values = grid(study, method, criterion)
    values = {name: given for name, given in values.items() if FACTORS[name].of_maps or not of_maps}
    upstream = [name for name in values if FACTORS[name].of_maps]
    ordered = [*upstream, *(name for name in values if name not in upstream)]
    found = []
    for made in product(*(values[name] for name in upstream)):
        variant = study.with_protocol(_with(study.protocol, upstream, made))
        for scored in product(*(values[name] for name in ordered[len(upstream) :])):
            protocol = _with(variant.protocol, ordered[len(upstream) :], scored)
            labels = {name: FACTORS[name].label(v) for name, v in zip(ordered, made + scored, strict=True)}
            found.append(Specification(labels, protocol, CRITERIA[criterion].compare(variant.maps, protocol, method)))
    return found


def named(study: Study, method: str, criterion: str) -> dict[str, Specification]:
    """The specification that each named protocol is, on the study's data."""
    compare = CRITERIA[criterion].compare
    maps = {name: study.with_protocol(protocol).maps for name, protocol in PROTOCOLS.items()}
    return {name: Specification({}, p, compare(maps[name], p, method)) for name, p in PROTOCOLS.items()}


def _with(protocol: Protocol, names: Sequence[str], values: Sequence[Any]) -> Protocol:
    for name, value in zip(names, values, strict=True):
        protocol = FACTORS[name].put(protocol, value)
    return protocol


def specification_curve(study: Study, methods: str = "paper", n_boot: int = 1000) -> pd.DataFrame:
    """The verdict of every specification: one row for each specification x method x criterion.

    Args:
        study: around whose protocol choices are varied.
        methods: names and groups of methods, joined by commas.
        n_boot: resamples behind an interval.

    Returns:
        Columns method, criterion, baseline, against, specification (its number within these), protocol (the named
        protocols that it is, joined by ", "), in_grid, one for each choice (the value's label, "" where it is not
        varied), then value, reference, difference, ci_low, ci_high and verdict, as from `Study.verdicts`. A named
        protocol that also differs in choices which are not varied has a row of its own, with in_grid False.
    """
    plans = _plans(study, methods)
    _make_maps(study, plans)
    frames = {}
    for method in track(select(methods), "specifications"):
        own = {criterion: plan for (criterion, of), plan in plans.items() if of == method}
        arrays = _computed(study, [spec for plan in own.values() for spec in plan])
        frames |= {(c, method): _judged(study, c, method, plan, arrays, n_boot) for c, plan in own.items()}
    return pd.concat([frames[cell] for cell in plans], ignore_index=True)


def made_from(study: Study, methods: str = "paper") -> list[Artefact]:
    """The maps, and the average masks, whose scores all specifications compare."""
    plans = {}
    for criterion in study.criteria.applicable:
        for method in select(methods):
            varied = specifications(study, method, criterion, of_maps=True)
            plans[criterion, method] = [*varied, *named(study, method, criterion).values()]
    return _sources(plans)


def _plans(study: Study, methods: str) -> dict[tuple[str, str], list[Specification]]:
    """Every specification, by criterion and method."""
    cells = [(criterion, method) for criterion in study.criteria.applicable for method in select(methods)]
    return {cell: _plan(study, *cell) for cell in cells}


def _sources(plans: Mapping[tuple[str, str], Sequence[Specification]]) -> list[Artefact]:
    scores = {score.digest: score for plan in plans.values() for spec in plan for score in spec.scores}
    return list({source.digest: source for score in scores.values() for source in score.upstream()}.values())


def _plan(study: Study, criterion: str, method: str) -> list[Specification]:
    """The specifications of `grid`, and those of the named protocols that are not among them."""
    protocols = [replace(spec, names=(name,)) for name, spec in named(study, method, criterion).items()]
    return _once([*specifications(study, method, criterion), *protocols])


def _once(specs: Iterable[Specification]) -> list[Specification]:
    """Each specification once, under all names that it has."""
    found: dict[tuple, Specification] = {}
    for spec in specs:
        known = found.get(spec.key)
        found[spec.key] = replace(known, names=(*known.names, *spec.names)) if known else spec
    return list(found.values())


def _make_maps(study: Study, plans: Mapping[tuple[str, str], Sequence[Specification]]) -> None:
    """Compute the maps that are missing, those of one network one after the other, as it is slow to build."""
    sources = [source for source in _sources(plans) if isinstance(source, SaliencyMaps)]
    maps = {one.digest: one for one in (source.powers or source for source in sources)}.values()
    missing = list(in_order(one for one in maps if not study.store.folder(one).exists()))
    passes = [one.work()[-1][1] for one in missing]  # KernelSHAP takes a thousand where a gradient takes one
    for one in track(missing, "maps", weights=passes):
        study.store.get(one, remember=False)


def _computed(study: Study, specs: Sequence[Specification]) -> dict[str, np.ndarray]:
    """The scores behind specifications of one method, by digest. Several criteria may ask for the same ones."""
    parts = {part.digest: part for spec in specs for part in spec.scores}
    ordered = tuple(
        sorted(parts.values(), key=lambda part: ([s.digest for s in part.upstream()], without_settings(part)))
    )
    return dict(zip((p.digest for p in ordered), study.store.get(ScoreBatch(ordered)), strict=True))


def _judged(
    study: Study,
    criterion: str,
    method: str,
    specs: list[Specification],
    arrays: Mapping[str, np.ndarray],
    n_boot: int,
) -> pd.DataFrame:
    found = CRITERIA[criterion]
    if any(len(spec.compared.low) > 1 for spec in specs):  # the one that counts is in the grid already
        specs = _once(spec.settled(lambda part: arrays[part.digest], found.larger_is_better) for spec in specs)
    clusters = clusters_of(study.images.ids(images_of(specs[0].compared.values[0])), study.images.clusters)

    def cell(spec: Specification) -> VerdictCell:
        values, (low,) = [arrays[part.digest] for part in spec.compared.values], spec.compared.low
        own = values[0] if len(values) == 1 else np.nanmean(values, axis=0)
        reference = low.value(lambda part: arrays[part.digest])
        compared = method, criterion, found.low, own, reference
        return VerdictCell(*compared, found.larger_is_better, low.paired, clusters, low.name)

    by_rule: dict[str, list[int]] = {}
    for i, spec in enumerate(specs):
        by_rule.setdefault(spec.protocol.rule, []).append(i)
    judged = pd.concat(
        judge([cell(specs[i]) for i in rows], specs[rows[0]].protocol, n_boot, study.seed).set_axis(rows)
        for rows in by_rule.values()
    ).sort_index()
    labels = pd.DataFrame(
        {
            "specification": i + 1,
            "protocol": ", ".join(spec.names),
            "in_grid": bool(spec.choices),
            **{name: spec.choices.get(name, "") for name in FACTORS},
        }
        for i, spec in enumerate(specs)
    )
    at = ["method", "criterion", "baseline", "against"]
    return pd.concat([judged[at], labels, judged.drop(columns=at)], axis=1)
