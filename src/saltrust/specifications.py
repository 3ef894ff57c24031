"""Would the verdict change? Every verdict under every combination of the choices that an analyst makes in passing.

A specification is a protocol with some of its choices replaced. For each method and criterion the choices that bear on
it are crossed, all values of each with all of the others: a balanced factorial, in which what each choice does can be
told apart exactly (specification curve: Simonsohn et al. 2020; multiverse: Steegen et al. 2016).
"""

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from hashlib import blake2b
from itertools import groupby, product
from pathlib import Path
from typing import Any, ClassVar
from zlib import crc32

import numpy as np
import pandas as pd

from saltrust.artefacts import AverageSpec, MapsSpec, NullSpec, SimilaritySpec, UtilitySpec
from saltrust.criteria.similarity import different_pairs
from saltrust.criteria.verdicts import Comparison, judge
from saltrust.errors import SaltrustError
from saltrust.methods.registry import METHODS
from saltrust.progress import track
from saltrust.protocols import PROTOCOLS, Preparation, Protocol
from saltrust.registry import Registry
from saltrust.scores.similarity import SIMILARITY
from saltrust.specs import Spec
from saltrust.statistics.resampling import clusters_of
from saltrust.study import Study, chosen

BASELINES = {"utility": "average", "randomization": "threshold", "repeatability": "low", "reproducibility": "low"}
"""The criteria, and the baseline that a verdict of the curve compares with."""

STABILITY = ("repeatability", "reproducibility")
SIMILARITIES = ("randomization", *STABILITY)
INTERACTIONS = "interactions"

Levels = Callable[[Study, str], tuple[Any, ...]]
Compared = tuple[tuple[Spec, ...], Spec | float]  # values and reference of a Specification


@dataclass(frozen=True)
class Factor:
    """A choice that is varied. levels: (study, method) -> the values that are crossed; where there are fewer than two,
    the choice is not varied. put: the protocol with that value. sources: where the values come from. criteria: those
    that it bears on. labels: how values are called, by default as they are written. of_maps: whether other maps must
    be made, as opposed to the same ones scored in another way.
    """

    title: str
    levels: Levels
    put: Callable[[Protocol, Any], Protocol]
    sources: str
    criteria: tuple[str, ...] = tuple(BASELINES)
    labels: Mapping[Any, str] = field(default_factory=dict)
    of_maps: bool = False

    def label(self, value: Any) -> str:
        return self.labels.get(value, str(value))


FACTORS: Registry[Factor] = Registry("choice")


def _of(*values: Any, methods: Sequence[str] | None = None) -> Levels:
    return lambda study, method: values if methods is None or method in methods else ()


def _set(name: str) -> Callable[[Protocol, Any], Protocol]:
    return lambda protocol, value: replace(protocol, **{name: value})


def _set_ssim(*names: str) -> Callable[[Protocol, Any], Protocol]:
    return lambda p, value: replace(p, ssim=replace(p.ssim, **dict(zip(names, value, strict=True))))


def _set_preparation(name: str) -> Callable[[Protocol, Any], Protocol]:
    return lambda p, value: replace(
        p,
        localization=replace(p.localization, **{name: value}),
        similarity=replace(p.similarity, **{name: value}),
    )


def _scalars(study: Study, method: str) -> tuple[str, ...]:
    """Of several classes the predicted one is explained, whatever the protocol. The gradient of a probability is that
    of the logit times a number, which the rescaling of maps undoes, unless gradients at several points are averaged."""
    if study.card.classes or METHODS[method].family == "control" or method == "smooth_ig":
        return ()
    return ("logit", "argmax_logit", *(("probability",) if method == "smoothgrad" else ()))


def _steps(study: Study, method: str) -> tuple[int, ...]:
    """The named protocols' numbers, cut to the profile; where that makes them one, it and two fifths of it."""
    named = {"ig": (25, 10), "xrai": (25, 100)}.get(method, ())
    cut = tuple(dict.fromkeys(min(steps, study.profile.steps) for steps in named))
    return tuple(dict.fromkeys((*cut, max(2, round(0.4 * cut[0]))))) if len(cut) == 1 else cut


def _pair_draws(study: Study, method: str) -> tuple[bool, ...]:
    n = len(study.explained)
    return (False, True) if n * (n - 1) // 2 > study.protocol.threshold_pairs else ()  # else all pairs are drawn


def _uses_cam(method: str) -> bool:
    return METHODS[method].family == "cam" or method == "guided_gradcam"


FACTORS.register("scalar")(
    Factor(
        "explained output",
        _scalars,
        _set("scalar"),
        "of the finding: Arun et al., text; of the predicted class: their code; probability: Venkatesh et al., code",
        labels={"argmax_logit": "logit of the predicted class"},
        of_maps=True,
    )
)
FACTORS.register("power")(
    Factor(
        "power of SmoothGrad",
        _of(1, 2, methods=("smoothgrad", "smooth_ig")),
        _set("power"),
        "mean: Smilkov et al. 2017; mean of squares: Arun et al., code",
        labels={1: "1: mean", 2: "2: mean of squares"},
        of_maps=True,
    )
)
FACTORS.register("steps")(
    Factor(
        "steps on the path",
        _steps,
        lambda protocol, value: replace(protocol, steps=value, xrai_steps=value),
        "IG: Arun et al., text and code; XRAI: their code, this book; where both are capped, the cap and two fifths",
        of_maps=True,
    )
)
FACTORS.register("path_baseline")(
    Factor(
        "baseline of the path",
        _of("black", "white", methods=("ig",)),
        _set("baseline"),
        "black: Arun et al., code; white: the other half of XRAI",
        of_maps=True,
    )
)
FACTORS.register("xrai_channels")(
    Factor(
        "channels of XRAI",
        _of("sum", "max", methods=("xrai",)),
        _set("xrai_channels"),
        "sum: this book; largest: Arun et al., code",
        labels={"max": "largest"},
        of_maps=True,
    )
)
FACTORS.register("cam_min_grid")(
    Factor(
        "layer of Grad-CAM",
        lambda study, method: (4, 1) if _uses_cam(method) else (),
        _set("cam_min_grid"),
        "last: Arun et al., text; grid of 4 × 4 or more: this book",
        labels={4: "grid of 4 or more", 1: "the last"},
        of_maps=True,
    )
)
FACTORS.register("guided_gradcam")(
    Factor(
        "product of Guided Grad-CAM",
        _of("raw", "displayed", methods=("guided_gradcam",)),
        _set("guided_gradcam"),
        "raw: Selvaraju et al. 2017; displayed: Arun et al., code",
        labels={"raw": "raw maps", "displayed": "displayed maps"},
        of_maps=True,
    )
)
FACTORS.register("channels")(
    Factor(
        "sign and channels",
        lambda study, method: ("sum_abs", "sum", "max_abs") if METHODS[method].signed else (),
        _set_preparation("channels"),
        "sum of absolute values: Arun et al., code; signed sum: their text on SSIM; largest: Simonyan et al. 2014",
        labels={"sum_abs": "sum of absolute values", "sum": "signed sum", "max_abs": "largest absolute value"},
    )
)
FACTORS.register("clip")(
    Factor(
        "clipping",
        _of(None, 99.0),
        _set_preparation("clip"),
        "none: Arun et al., text; 99th percentile: their code",
        labels={None: "none", 99.0: "99th percentile"},
    )
)
FACTORS.register("auprc")(
    Factor(
        "area under the curve",
        _of("average_precision", "trapezoid"),
        _set("auprc"),
        "average precision: this book; trapezoid: Arun et al., code",
        criteria=("utility",),
        labels={"average_precision": "average precision"},
    )
)
FACTORS.register("average_of")(
    Factor(
        "average mask",
        _of(("train", "val"), ("test",)),
        lambda protocol, value: replace(protocol, average_of=dict.fromkeys(protocol.average_of, value)),
        "training + validation: Arun et al., text; test: their code for boxes",
        criteria=("utility",),
        labels={("train", "val"): "training + validation", ("test",): "test"},
        of_maps=True,
    )
)
FACTORS.register("window")(
    Factor(
        "SSIM window",
        _of(("gaussian", 11), ("uniform", 7)),
        _set_ssim("window", "size"),
        "Gaussian: Wang et al. 2004; uniform: Arun et al., code",
        criteria=SIMILARITIES,
        labels={("gaussian", 11): "Gaussian, 11 × 11", ("uniform", 7): "uniform, 7 × 7"},
    )
)
FACTORS.register("data_range")(
    Factor(
        "SSIM data range",
        _of((1.0,), (2.0,)),
        _set_ssim("data_range"),
        "1: the range of the maps; 2: Arun et al., code",
        criteria=SIMILARITIES,
        labels={(1.0,): "1", (2.0,): "2"},
    )
)
FACTORS.register("batchnorm")(
    Factor(
        "batch normalization",
        _of("reset", "keep_statistics"),
        _set("batchnorm"),
        "reset: this book; kept: Adebayo et al. 2018, code",
        criteria=("randomization",),
        labels={"keep_statistics": "statistics kept"},
        of_maps=True,
    )
)
FACTORS.register("pairs")(
    Factor(
        "threshold pairs",
        _pair_draws,
        _set("pairs_by_method"),
        "one draw for all methods: Arun et al., text; a draw for each: their code",
        criteria=("randomization",),
        labels={False: "one draw for all", True: "own draw"},
    )
)
FACTORS.register("low_baseline")(
    Factor(
        "low baseline",
        _of(None, 0.5),
        _set("low_baseline"),
        "surrogates: this book; 0.5: Arun et al., text",
        criteria=STABILITY,
        labels={None: "surrogates"},
    )
)
FACTORS.register("rule")(
    Factor(
        "rule",
        _of("interval", "mean"),
        _set("rule"),
        "interval: this book; mean: Arun et al., text",
        labels={"interval": "95 % interval", "mean": "mean"},
    )
)


@dataclass(frozen=True)
class Specification:
    """One way to reach one verdict, by what it computes: scores whose mean is compared with that of a reference.

    choices: label of each varied choice, by name; empty outside the grid. values: one spec, or one for each replicate,
    of scores (n,). names: the named protocols that it is.
    """

    choices: dict[str, str]
    protocol: Protocol
    values: tuple[Spec, ...]
    reference: Spec | float
    names: tuple[str, ...] = ()

    @property
    def scores(self) -> tuple[Spec, ...]:
        return (*self.values, *([self.reference] if isinstance(self.reference, Spec) else []))

    @property
    def key(self) -> tuple:
        """Equal for specifications that compute the same."""
        fixed = None if isinstance(self.reference, Spec) else self.reference
        return tuple(_essence(spec).digest for spec in self.scores), fixed, self.protocol.rule


def _essence(score: Spec) -> Spec:
    """The spec without the layer of Grad-CAM, which every spec of maps names, for methods that do not use it."""
    maps = {f.name: getattr(score, f.name) for f in fields(score)}
    return replace(
        score,
        **{
            name: replace(value, cam_min_grid=0)
            for name, value in maps.items()
            if isinstance(value, MapsSpec) and not _uses_cam(value.method)
        },
    )


def grid(study: Study, method: str, criterion: str) -> dict[str, tuple[Any, ...]]:
    """The choices that are varied for a method and a criterion, with their values."""
    bearing = {name: f.levels(study, method) for name, f in FACTORS.items() if criterion in f.criteria}
    return {name: values for name, values in bearing.items() if len(values) > 1}


def specifications(study: Study, method: str, criterion: str) -> list[Specification]:
    """Every combination of the values of `grid` around the study's protocol, the last choice varying fastest."""
    values = grid(study, method, criterion)
    upstream = [name for name in values if FACTORS[name].of_maps]
    ordered = [*upstream, *(name for name in values if name not in upstream)]
    found = []
    for made in product(*(values[name] for name in upstream)):
        variant = under(study, _with(study.protocol, upstream, made))
        sources = _SOURCES[criterion](variant, method)
        for scored in product(*(values[name] for name in ordered[len(upstream) :])):
            protocol = _with(variant.protocol, ordered[len(upstream) :], scored)
            labels = {name: FACTORS[name].label(v) for name, v in zip(ordered, made + scored, strict=True)}
            found.append(Specification(labels, protocol, *_SCORES[criterion](under(study, protocol), method, *sources)))
    return found


def named(study: Study, method: str, criterion: str) -> dict[str, Specification]:
    """The specification that each named protocol is, on the study's data."""
    found = {}
    for name, protocol in PROTOCOLS.items():
        variant = under(study, protocol)
        scores = _SCORES[criterion](variant, method, *_SOURCES[criterion](variant, method))
        found[name] = Specification({}, protocol, *scores)
    return found


def under(study: Study, protocol: Protocol) -> Study:
    """The same data and networks under another protocol, which need not have a name."""
    variant = copy.copy(study)
    variant.protocol = protocol
    return variant


def _with(protocol: Protocol, names: Sequence[str], values: Sequence[Any]) -> Protocol:
    for name, value in zip(names, values, strict=True):
        protocol = FACTORS[name].put(protocol, value)
    return protocol


# --- what each criterion compares: the maps (sources), then the scores of these ------------------------------------


def _utility_sources(study: Study, method: str) -> tuple[MapsSpec, AverageSpec]:
    return study.spec(method), study.average_spec()


def _utility(study: Study, method: str, maps: MapsSpec, average: AverageSpec) -> Compared:
    p = study.protocol
    value = UtilitySpec(maps, _effective(p.localization, method), p.auprc)
    return (value,), UtilitySpec(average, Preparation("sum", clip=None), p.auprc)  # it is scored as it is


def _randomization_sources(study: Study, method: str) -> tuple[MapsSpec, ...]:
    last = (study.cascade(replicate)[study.stages[-1]] for replicate in range(study.profile.replicates))
    random = (study.spec(method, images=study.cascaded, randomization=state) for state in last)
    return study.spec(method), *random


def _randomization(study: Study, method: str, maps: MapsSpec, *random: MapsSpec) -> Compared:
    p = study.protocol
    draw = (study.seed, crc32(method.encode())) if p.pairs_by_method else (study.seed,)
    pairs = different_pairs(len(maps.images), p.threshold_pairs, draw)
    values = tuple(SimilaritySpec(maps, one, _same(maps, one), *_likeness(p, method)) for one in random)
    return values, SimilaritySpec(maps, maps, pairs, *_likeness(p, method))


def _stability_sources(model: str) -> Callable[[Study, str], tuple[MapsSpec, MapsSpec]]:
    return lambda study, method: (study.spec(method), study.spec(method, getattr(study, model)))


def _stability(study: Study, method: str, maps: MapsSpec, other: MapsSpec) -> Compared:
    p = study.protocol
    compared = maps, other, _same(maps, other), *_likeness(p, method)
    low = p.low_baseline
    if low is None:
        low = NullSpec(*compared, count=study.profile.surrogates, seed=study.seed)
    return (SimilaritySpec(*compared),), low


_SOURCES = {
    "utility": _utility_sources,
    "randomization": _randomization_sources,
    "repeatability": _stability_sources("replicate"),
    "reproducibility": _stability_sources("other"),
}
_SCORES = {
    "utility": _utility,
    "randomization": _randomization,
    "repeatability": _stability,
    "reproducibility": _stability,
}


def _effective(preparation: Preparation, method: str) -> Preparation:
    return preparation if METHODS[method].signed else replace(preparation, channels="sum")


def _likeness(protocol: Protocol, method: str) -> tuple[Preparation, str, dict[str, Any]]:
    preparation, settings = protocol.likeness("ssim")
    return _effective(preparation, method), "ssim", settings


def _same(first: MapsSpec, second: MapsSpec) -> tuple[tuple[int, int], ...]:
    return tuple((first.images.index(image), i) for i, image in enumerate(second.images) if image in first.images)


# --- computing ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScoresSpec(Spec):
    """The values of many specs of scores, each (n,), kept as one artefact: a tuple of arrays in their order.

    Specs of similarity that differ in their settings alone should follow one another: they share prepared maps.
    """

    kind: ClassVar[str] = "scores"
    parts: tuple[UtilitySpec | SimilaritySpec, ...]

    def title(self) -> str:
        return f"{len(self.parts)} scores"

    def compute(self, get) -> tuple[np.ndarray, ...]:
        known: dict[bytes, np.ndarray] = {}
        found = []
        for _, alike in groupby(self.parts, _unset):
            parts = list(alike)
            if isinstance(parts[0], SimilaritySpec):
                found += _similarities(parts, get, known)
            else:
                found += [part.compute(get) for part in parts]
        return tuple(found)

    def write(self, value, folder: Path) -> None:
        np.savez(folder / "scores.npz", *value)

    def read(self, folder: Path) -> tuple[np.ndarray, ...]:
        with np.load(folder / "scores.npz") as stored:
            return tuple(stored[name] for name in stored.files)


def _unset(part: Spec) -> str:
    """Equal for specs of similarity that differ in their settings alone."""
    return (replace(part, settings={}) if isinstance(part, SimilaritySpec) else part).digest


def _similarities(parts: Sequence[SimilaritySpec], get: Callable, known: dict[bytes, np.ndarray]) -> list[np.ndarray]:
    """The value of each of some specs that differ in their settings alone.

    known: the scores of pairs of maps that have been compared before. Maps that differ in a choice are often equal once
    prepared: a flipped sign is gone from absolute values.
    """
    left, right = parts[0].paired(get)
    images = [parts[0].second.images[second] for _, second in parts[0].pairs]
    asked = repr([(part.kind, part.score, part.settings) for part in parts]).encode()
    pairs = [
        blake2b(b"".join((asked, str(image).encode(), x.tobytes(), y.tobytes()))).digest()
        for image, x, y in zip(images, left, right, strict=True)
    ]
    new = list({pair: i for i, pair in enumerate(pairs) if pair not in known}.values())

    def scored(rows: np.ndarray) -> np.ndarray:
        partners = parts[0].partners(right[rows], [images[i] for i in rows])
        rounds = [[SIMILARITY[p.score](left[rows], other, **p.settings) for p in parts] for other in partners]
        return np.mean(rounds, axis=0).T

    if new:
        threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count())  # what others leave to this process
        with ThreadPoolExecutor(threads) as pool:
            shares = np.array_split(new, min(len(new), threads))
            known |= zip((pairs[i] for i in new), np.concatenate(list(pool.map(scored, shares))), strict=True)
    return list(np.array([known[pair] for pair in pairs]).T)


def specification_curve(study: Study, methods: str = "paper", n_boot: int = 1000) -> pd.DataFrame:
    """The verdict of every specification: one row for each specification x method x criterion.

    Columns: method, criterion, baseline, specification (its number within these), protocol (the named protocols that it
    is, joined by ", "), in_grid, one for each choice (the value's label, "" where it is not varied), then value,
    reference, difference, ci_low, ci_high and verdict, as from `Study.verdicts`. A named protocol that also differs in
    choices which are not varied has a row of its own, with in_grid False.
    """
    cells = [(criterion, method) for criterion in BASELINES for method in chosen(methods)]
    plans = {cell: _plan(study, *cell) for cell in cells}
    _make_maps(study, [spec for plan in plans.values() for spec in plan])
    frames = [_judged(study, *cell, plans[cell], n_boot) for cell in track(cells, "specifications")]
    return pd.concat(frames, ignore_index=True)


def _plan(study: Study, criterion: str, method: str) -> list[Specification]:
    """The specifications of `grid`, and those of the named protocols that are not among them."""
    found = {spec.key: spec for spec in specifications(study, method, criterion)}
    for name, spec in named(study, method, criterion).items():
        known = found.get(spec.key, spec)
        found[spec.key] = replace(known, names=(*known.names, name))
    return list(found.values())


def _make_maps(study: Study, specs: Sequence[Specification]) -> None:
    """Compute the maps that are missing, those of one network one after the other, as it is slow to build."""
    scores = {score.digest: score for spec in specs for score in spec.scores}
    sources = [s for score in scores.values() for s in score.upstream() if isinstance(s, MapsSpec)]
    missing = {s.digest: s for s in sources if not study.store.folder(s).exists()}
    order = sorted(
        missing.values(), key=lambda s: (s.model.digest, str(s.randomization), s.scalar, s.cam_min_grid, s.method)
    )
    for spec in track(order, "maps"):
        study.store.get(spec, remember=False)


def _judged(study: Study, criterion: str, method: str, specs: list[Specification], n_boot: int) -> pd.DataFrame:
    parts = {part.digest: part for spec in specs for part in spec.scores}
    ordered = tuple(sorted(parts.values(), key=lambda part: ([s.digest for s in part.upstream()], _unset(part))))
    arrays = dict(zip((p.digest for p in ordered), study.store.get(ScoresSpec(ordered)), strict=True))
    below = criterion == "randomization"
    images = study.data("test").ids[list(study.cascaded if below else study.explained)]
    clusters = clusters_of(images, study.clusters)

    def comparison(spec: Specification) -> Comparison:
        values = [arrays[part.digest] for part in spec.values]
        own = values[0] if len(values) == 1 else np.nanmean(values, axis=0)
        reference = arrays[spec.reference.digest] if isinstance(spec.reference, Spec) else spec.reference
        compared = method, criterion, BASELINES[criterion], own, reference
        return Comparison(*compared, larger=not below, paired=not below, clusters=clusters)

    by_rule: dict[str, list[int]] = {}
    for i, spec in enumerate(specs):
        by_rule.setdefault(spec.protocol.rule, []).append(i)
    judged = pd.concat(
        judge([comparison(specs[i]) for i in rows], specs[rows[0]].protocol, n_boot, study.seed).set_axis(rows)
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
    at = ["method", "criterion", "baseline"]
    return pd.concat([judged[at], labels, judged.drop(columns=at)], axis=1)


# --- what the choices do ------------------------------------------------------------------------------------------


def pass_shares(curve: pd.DataFrame) -> pd.DataFrame:
    """Share of the crossed specifications that PASS: a row for each method, a column for each criterion, in order."""
    crossed = curve[curve["in_grid"]]
    shares = crossed["verdict"].eq("PASS").groupby([crossed["method"], crossed["criterion"]], sort=False).mean()
    return shares.unstack().loc[crossed["method"].unique(), crossed["criterion"].unique()]


def effects(curve: pd.DataFrame) -> pd.DataFrame:
    """What each choice does to the verdicts of each method and criterion.

    Columns: criterion, method, choice, levels; pairs, the pairs of specifications that differ in this choice alone;
    flips, those of them whose verdicts differ; and the share of the variance over the specifications that the choice
    explains by itself (eta squared of its main effect), of the difference (variance_difference) and of the verdict
    (variance_verdict); NaN where there is none. A row "interactions" holds the rest of the variance: what choices do
    only together. Raises SaltrustError where the specifications of a method and criterion are not fully crossed.
    """
    rows = []
    for (criterion, method), own in curve[curve["in_grid"]].groupby(["criterion", "method"], sort=False):
        names = [name for name in FACTORS if own[name].nunique() > 1]
        levels = [own[name].unique() for name in names]
        shape = tuple(map(len, levels))
        places = [pd.Index(found).get_indexer(own[name]) for name, found in zip(names, levels, strict=True)]
        where = np.ravel_multi_index(places, shape)
        if sorted(where) != list(range(np.prod(shape))):
            raise SaltrustError(f"{criterion} of {method}: the specifications are not all combinations of {names}")
        order = np.argsort(where)
        difference = own["difference"].to_numpy()[order].reshape(shape)
        passed = own["verdict"].eq("PASS").to_numpy(float)[order].reshape(shape)
        explained = {"variance_difference": main_effects(difference), "variance_verdict": main_effects(passed)}
        for axis, name in enumerate(names):
            passes, most = passed.sum(axis), shape[axis]
            rows.append(
                {
                    "criterion": criterion,
                    "method": method,
                    "choice": name,
                    "levels": most,
                    "pairs": passes.size * most * (most - 1) // 2,
                    "flips": int((passes * (most - passes)).sum()),
                    **{column: shares[axis] for column, shares in explained.items()},
                }
            )
        rest = {column: 1 - shares.sum() for column, shares in explained.items()}
        rows.append({"criterion": criterion, "method": method, "choice": INTERACTIONS, **rest})
    return pd.DataFrame(rows).astype({name: "Int64" for name in ("levels", "pairs", "flips")})


def main_effects(values: np.ndarray) -> np.ndarray:
    """Share of the variance of a full factorial that each axis explains by itself (eta squared): (values.ndim,).

    The design is balanced, so that the sums of squares of the main effects are orthogonal and what they leave of the
    total is interaction. NaN where the values do not vary.
    """
    total = ((values - values.mean()) ** 2).mean()
    axes = range(values.ndim)
    between = [values.mean(axis=tuple(other for other in axes if other != axis)).var() for axis in axes]
    return np.array(between) / total if total > 1e-24 else np.full(values.ndim, np.nan)


def flip_rates(found: pd.DataFrame, by: Sequence[str] = ("criterion",)) -> pd.Series:
    """Share of the pairs of specifications differing in one choice alone whose verdicts differ, pooled; from `effects`,
    by choice and the columns `by`."""
    pooled = found[found["choice"] != INTERACTIONS].groupby([*by, "choice"], sort=False)[["flips", "pairs"]].sum()
    return (pooled["flips"] / pooled["pairs"]).astype(float)
