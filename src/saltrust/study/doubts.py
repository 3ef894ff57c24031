"""What may warn of a wrong answer: every doubt that the alarm of Shu et al. is compared with, theirs among them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from scipy.special import expit

from saltrust.artefacts import Artefact
from saltrust.core.registry import Registry
from saltrust.methods.registry import METHODS
from saltrust.scores.distinctness import distinctness
from saltrust.scores.uncertainty import calibrated, disagreement, dropped, entropy, nearer_others, other_label_fits
from saltrust.study.multilabel import JUDGED, MultilabelStudy, Shift

DROPPED = 0.2  # share of the features that Monte Carlo dropout leaves out; ours, for the paper's network has no dropout
FOLDS = 5  # of the validation images, where a doubt is learned from them


@dataclass(frozen=True)
class Doubt:
    """A number for each image and finding that may warn of a wrong answer: the larger, the more doubtful.

    Attributes:
        title: in tables.
        of: (study, split) -> (n, k); NaN where it is not defined.
        artefacts: (study, split) -> what it is made from, besides the network.
        lacks: study -> why it is not to be had for the study's network, "" where it is.
    """

    title: str
    of: Callable[[MultilabelStudy, str | Shift], np.ndarray]
    artefacts: Callable[[MultilabelStudy, str | Shift], tuple[Artefact, ...]] = lambda study, split: ()
    lacks: Callable[[MultilabelStudy], str] = lambda study: ""


DOUBTS: Registry[Doubt] = Registry("doubt")


def from_maps(name: str, title: str = "", random: bool = False) -> Doubt:
    """Doubt where the maps of a network's outputs are alike.

    Args:
        name: one of FROM_MAPS, whose method the protocol says, or a name in METHODS, of maps that are made from a
            network alone.
        title: what they are called, "" for the method's title.
        random: whether all weights of the network are random.
    """

    def method(study: MultilabelStudy) -> str:
        return study.alarm_methods.get(name, name)

    return Doubt(
        f"maps alike, {title or METHODS[name].title}",
        lambda study, split: -distinctness(study.distances(split, method(study), random)),
        lambda study, split: (study.products_artefact(split, method(study), random),),
        lambda study: study.unexplained(method(study)),
    )


def _nearness(study: MultilabelStudy, split: str | Shift) -> np.ndarray:
    """A threshold that no output reaches is as far from each as the largest output is."""
    reached = np.minimum(study.thresholds, study.logits("val").max(axis=0))
    return -np.abs(study.logits(split) - reached)


def _weak_maps(study: MultilabelStudy, split: str | Shift) -> np.ndarray:
    return -np.sqrt(np.diagonal(study.products(split, "input_x_gradient"), axis1=1, axis2=2))


def _of_each_finding(doubt: Callable[..., np.ndarray]) -> Callable[[MultilabelStudy, str | Shift], np.ndarray]:
    """A doubt (n, k) from one of a single finding: a function of the study, the split and the finding's number."""
    return lambda study, split: np.stack([doubt(study, split, k) for k in range(len(study.findings))], axis=1)


def _calibrated(study: MultilabelStudy, split: str | Shift, k: int) -> np.ndarray:
    known, labels = study.logits("val")[:, k], study.present("val")[:, k]
    return entropy(calibrated(study.logits(split)[:, k], known, labels))


def _other_label(study: MultilabelStudy, split: str | Shift, k: int) -> np.ndarray:
    known, labels = study.logits("val")[:, k], study.present("val")[:, k]
    said = study.predicted(split)[:, k]
    return other_label_fits(study.logits(split)[:, k], said, known, labels, own=split == "val")


def _neighbours(study: MultilabelStudy, split: str | Shift, k: int) -> np.ndarray:
    of, known = (study.store.get(study.features_artefact(one)) for one in (split, "train"))
    return nearer_others(of, study.predicted(split)[:, k], known, study.present("train")[:, k])


def _dropped(study: MultilabelStudy, split: str | Shift) -> np.ndarray:
    features, state = study.store.get(study.features_artefact(split)), study.store.get(study.network).state()
    weight, bias = (state[f"{study.network.head}.{name}"].numpy() for name in ("weight", "bias"))
    copies = dropped(features, weight, bias, DROPPED, study.sizes.copies, study.study.seed)
    return copies.std(axis=0)


def _outputs_of_members(study: MultilabelStudy, split: str | Shift) -> tuple[Artefact, ...]:
    if split in JUDGED:  # their records hold them
        return study.members[1:]
    return tuple(study.outputs_artefact(split, member) for member in range(len(study.members)))


def _disagreement(study: MultilabelStudy, split: str | Shift) -> np.ndarray:
    return disagreement(expit([study.logits(split, member) for member in range(len(study.members))]))


def _learned(study: MultilabelStudy, split: str | Shift, k: int) -> np.ndarray:
    """The probability that the answer is wrong, by a regression on all distances between the maps of an image; NaN
    where the validation images have too few right or wrong answers to learn from, or a map has no distance."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pairs = np.triu_indices(len(study.findings), 1)
    columns = {one: study.distances(one, "input_x_gradient")[:, *pairs] for one in ("val", split)}
    known = {one: np.isfinite(of).all(axis=1) for one, of in columns.items()}
    wrong = (study.predicted("val") != study.present("val"))[known["val"], k]
    found = np.full(len(columns[split]), np.nan)
    if min(wrong.sum(), (~wrong).sum()) < FOLDS or not known[split].any():
        return found
    model, learned_from = make_pipeline(StandardScaler(), LogisticRegression()), columns["val"][known["val"]]
    if split == "val":  # each image by a regression that has not seen it
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=study.study.seed)
        p = cross_val_predict(model, learned_from, wrong, cv=folds, method="predict_proba")
    else:
        p = model.fit(learned_from, wrong).predict_proba(columns[split][known[split]])
    found[known[split]] = p[:, 1]
    return found


def _by_lot(study: MultilabelStudy, split: str | Shift) -> np.ndarray:
    shape, place = study.logits(split).shape, crc32(str(split).encode())
    return np.random.default_rng((study.study.seed, place)).random(shape)


DOUBTS.register("ixg")(from_maps("ixg", "Input × Gradient"))
DOUBTS.register("lrp")(from_maps("lrp", "LRP"))
DOUBTS.register("entropy")(
    Doubt("entropy of the probability", lambda study, split: entropy(expit(study.logits(split))))
)
DOUBTS.register("copies")(
    Doubt(
        "spread over changed copies",
        lambda study, split: study.store.get(study.copies_artefact(split)).std(axis=0),
        lambda study, split: (study.copies_artefact(split),),
    )
)
DOUBTS.register("margin")(Doubt("nearness to the threshold", _nearness))
DOUBTS.register("calibrated")(Doubt("entropy, calibrated", _of_each_finding(_calibrated)))
DOUBTS.register("conformal")(Doubt("the other label fits, too", _of_each_finding(_other_label)))
DOUBTS.register("ensemble")(
    Doubt("other networks disagree", _disagreement, _outputs_of_members, lambda study: study.no_training)
)
DOUBTS.register("dropout")(
    Doubt(
        "spread under dropout",
        _dropped,
        lambda study, split: (study.features_artefact(split),),
        lambda study: study.no_training,
    )
)
DOUBTS.register("neighbours")(
    Doubt(
        "like films of the other label",
        _of_each_finding(_neighbours),
        lambda study, split: tuple(study.features_artefact(one) for one in ("train", split)),
        lambda study: study.no_training,
    )
)
DOUBTS.register("learned")(
    Doubt(
        "all distances, learned",
        _of_each_finding(_learned),
        lambda study, split: tuple(study.products_artefact(one, "input_x_gradient") for one in ("val", split)),
        lambda study: study.unexplained("input_x_gradient"),
    )
)
DOUBTS.register("norm")(
    Doubt(
        "weak map, Input × Gradient",
        _weak_maps,
        lambda study, split: (study.products_artefact(split, "input_x_gradient"),),
        lambda study: study.unexplained("input_x_gradient"),
    )
)
DOUBTS.register("random_network")(from_maps("input_x_gradient", "random network", random=True))
DOUBTS.register("lot")(Doubt("by lot", _by_lot))


def with_further(methods: Sequence[str] = ()) -> dict[str, Doubt]:
    """Every doubt by name, and those from the maps of further methods, by the method's name."""
    already = {*DOUBTS, "input_x_gradient"}
    return DOUBTS | {method: from_maps(method) for method in methods if method not in already}


def doubts_for(study: MultilabelStudy, further: Sequence[str] = ()) -> dict[str, Doubt]:
    """The doubts that are to be had for the study's network, by name. further: methods, as in `with_further`."""
    return {name: doubt for name, doubt in with_further(further).items() if not doubt.lacks(study)}


def missing(study: MultilabelStudy, further: Sequence[str] = ()) -> dict[str, str]:
    """The other doubts, by name, and why they are not to be had."""
    return {name: why for name, doubt in with_further(further).items() if (why := doubt.lacks(study))}


def artefacts(study: MultilabelStudy, further: Sequence[str] = ()) -> Iterator[Artefact]:
    """All that the doubts are made from."""
    yield study.network
    for split in JUDGED:
        yield study.images.artefact(split)
        for doubt in doubts_for(study, further).values():
            yield from doubt.artefacts(study, split)
