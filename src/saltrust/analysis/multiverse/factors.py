"""The choices that an analyst makes in passing, with the values that are crossed and where these come from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from saltrust.core.protocols import Protocol
from saltrust.core.registry import Registry
from saltrust.methods.registry import METHODS
from saltrust.study.criteria import Criterion
from saltrust.study.study import Study

Levels = Callable[[Study, str], tuple[Any, ...]]


@dataclass(frozen=True)
class Factor:
    """A choice that is varied.

    Attributes:
        title: in words.
        levels: (study, method) -> the values that are crossed; of fewer than two, the choice is not varied.
        put: (protocol, value) -> the protocol with that value.
        sources: where the values come from.
        bears_on: whether it can change the verdict by a criterion.
        labels: how values are called, by default as they are written.
        of_maps: whether other maps must be made, as opposed to the same ones scored in another way.
    """

    title: str
    levels: Levels
    put: Callable[[Protocol, Any], Protocol]
    sources: str
    bears_on: Callable[[Criterion], bool] = lambda criterion: True
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
    n = len(study.images.compared)
    return (False, True) if n * (n - 1) // 2 > study.protocol.threshold_pairs else ()  # else all pairs are drawn


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
        lambda study, method: (4, 1) if METHODS[method].takes_layer else (),
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
        bears_on=lambda criterion: criterion.score == "auprc",
        labels={"average_precision": "average precision"},
    )
)
FACTORS.register("average_of")(
    Factor(
        "average mask",
        _of(("train", "val"), ("test",)),
        lambda protocol, value: replace(protocol, average_of=dict.fromkeys(protocol.average_of, value)),
        "training + validation: Arun et al., text; test: their code for boxes",
        bears_on=lambda criterion: criterion.low == "average",
        labels={("train", "val"): "training + validation", ("test",): "test"},
        of_maps=True,
    )
)
FACTORS.register("window")(
    Factor(
        "SSIM window",
        _of(("gaussian", 11, False), ("uniform", 7, True)),
        _set_ssim("window", "size", "sample_covariance"),
        "Gaussian: Wang et al. 2004; uniform, and covariances of a sample: scikit-image's defaults, Arun et al., code",
        bears_on=lambda criterion: criterion.score == "ssim",
        labels={("gaussian", 11, False): "Gaussian, 11 × 11", ("uniform", 7, True): "uniform, 7 × 7"},
    )
)
FACTORS.register("data_range")(
    Factor(
        "SSIM data range",
        _of((1.0,), (2.0,)),
        _set_ssim("data_range"),
        "1: the range of the maps; 2: Arun et al., code",
        bears_on=lambda criterion: criterion.score == "ssim",
        labels={(1.0,): "1", (2.0,): "2"},
    )
)
FACTORS.register("batchnorm")(
    Factor(
        "batch normalization",
        _of("reset", "keep_statistics"),
        _set("batchnorm"),
        "reset: this book; kept: Adebayo et al. 2018, code",
        bears_on=lambda criterion: criterion.name == "randomization",
        labels={"keep_statistics": "statistics kept"},
        of_maps=True,
    )
)
FACTORS.register("cascade_end")(
    Factor(
        "end of the cascade",
        lambda study, method: ("input", "paper") if study.networks.paper_end != study.networks.stages[-1] else (),
        _set("cascade_end"),
        "all weights: this book; Mixed 1: Arun et al., text and code",
        bears_on=lambda criterion: criterion.name == "randomization",
        labels={"input": "all weights", "paper": "the paper's last stage"},
        of_maps=True,
    )
)
FACTORS.register("pairs")(
    Factor(
        "threshold pairs",
        _pair_draws,
        _set("pairs_by_method"),
        "one draw for all methods: Arun et al., text; a draw for each: their code",
        bears_on=lambda criterion: criterion.low == "threshold",
        labels={False: "one draw for all", True: "own draw"},
    )
)
FACTORS.register("low_baseline")(
    Factor(
        "low baseline",
        _of(("surrogates",), ("different images",), 0.5),
        _set("low_baseline"),
        "the stricter of surrogates and different images: this book; 0.5: Arun et al., text",
        bears_on=lambda criterion: criterion.low == "low",
        labels={("surrogates",): "surrogates", ("different images",): "different images"},
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
