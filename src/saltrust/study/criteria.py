"""What a map is judged by: each criterion is one object, which all that is said of it reads (Arun et al., Results).

Utility compares a map with its image's truth; randomization, a map of the trained network with one of the same network
after its weights were drawn anew; repeatability, the main network's map of an image with its replicate's, by SSIM; and
reproducibility, with another architecture's.

A criterion names the scores to compare: those of a method's maps, and those of its low baseline, or of several, of
which the strictest counts. They are given as artefacts, so nothing is computed here. Tables of scores (`study.frames`),
verdicts, the multiverse, the report card, mixed models, claims and figures take the criteria from CRITERIA: one entry
more there is one more criterion everywhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from saltrust.artefacts.artefact import Artefact
from saltrust.artefacts.maps import LocalizerMaps, SaliencyMaps
from saltrust.artefacts.scores import LocalizationScores, SimilarityScores, SurrogateScores
from saltrust.core.protocols import Protocol
from saltrust.core.registry import Registry
from saltrust.methods.registry import CONTROLS
from saltrust.study.maps import Maps, Positions
from saltrust.study.networks import Networks

Scores = LocalizationScores | SimilarityScores


@dataclass(frozen=True)
class Baseline:
    """What a method's scores are compared with.

    Attributes:
        name: what it is called.
        scores: its own, or one number.
        paired: whether they are of the same images as the method's.
    """

    name: str
    scores: Scores | float
    paired: bool = True

    def value(self, get: Callable[[Any], Any]) -> Any:
        """The number, or what `get` finds of the scores."""
        return get(self.scores) if isinstance(self.scores, Artefact) else self.scores


@dataclass(frozen=True)
class Compared:
    """What one criterion compares for one method.

    Attributes:
        values: the scores of the method's maps, one set for each network whose weights are drawn anew, else one.
        low: the low baselines, of which the strictest counts.
    """

    values: tuple[Scores, ...]
    low: tuple[Baseline, ...]

    @property
    def scores(self) -> tuple[Scores, ...]:
        """All that must be computed."""
        return (*self.values, *(one.scores for one in self.low if isinstance(one.scores, Artefact)))


def strictest(low: Sequence[Baseline], get: Callable[[Any], Any], larger: bool = True) -> Baseline:
    """The baseline with the highest mean; where scores must be below it, the lowest. larger: whether above."""
    if len(low) == 1:
        return low[0]
    return (max if larger else min)(low, key=lambda one: float(np.nanmean(one.value(get))))


@dataclass(frozen=True)
class Criterion:
    """One way to judge a method's maps.

    Attributes:
        name: as in tables and in CRITERIA.
        question: in words, on two lines.
        pictures: what is compared, in two words: of the image or map that is compared, and of the map beside it.
        score: the column of its scores, "auprc" or "ssim".
        low: what its low baseline is called.
        compare: (maps, protocol, method) -> what is compared. Maps are made as `maps.protocol` says, and chosen and
            scored as `protocol` says: in the multiverse the two may differ.
        high: what its high baseline is called, None for a criterion without. It is the score of the card's localizer in
            `beside`.
        beside: (maps, protocol) -> scores of what stands beside the methods, by its name.
        larger_is_better: whether a method's scores must exceed the baseline's.
        partner: networks -> the network whose maps those of the main one are compared with; its answer is None where
            there is no such network, and the criterion cannot be asked.
    """

    name: str
    question: str
    pictures: tuple[str, str]
    score: str
    low: str
    compare: Callable[[Maps, Protocol, str], Compared]
    high: str | None = None
    beside: Callable[[Maps, Protocol], dict[str, Scores]] = lambda maps, protocol: {}
    larger_is_better: bool = True
    partner: Callable[[Networks], str | None] | None = None

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").capitalize()

    @property
    def score_title(self) -> str:
        return self.score.upper()

    def applies(self, networks: Networks) -> bool:
        """Whether there are the networks that it takes."""
        return self.partner is None or self.partner(networks) is not None


CRITERIA: Registry[Criterion] = Registry("criterion")


def add(criterion: Criterion) -> None:
    """Make a criterion known."""
    CRITERIA.register(criterion.name)(criterion)


# --- scores, by what they compare -------------------------------------------------------------------------------------


def localization(maps: Any, protocol: Protocol, score: str = "auprc") -> LocalizationScores:
    """Of each map against its image's truth. score: "auprc" by the protocol's rule, or a name in LOCALIZATION."""
    preparation = protocol.heat(_localizer(maps)) if _localizer(maps) else protocol.localization
    return LocalizationScores(maps, preparation, protocol.auprc if score == "auprc" else score)


def similarity(
    first: SaliencyMaps | LocalizerMaps,
    second: SaliencyMaps | LocalizerMaps,
    protocol: Protocol,
    score: str = "ssim",
    among: Positions | None = None,
) -> SimilarityScores:
    """Of each image's map in one set with the same image's map in another; images that one of them lacks are left out.
    score: a name in SIMILARITY. among: test images that are compared, None for all."""
    return SimilarityScores(first, second, _same_images(first, second, among), *_likeness(first, protocol, score))


def surrogate_similarity(
    first: SaliencyMaps | LocalizerMaps,
    second: SaliencyMaps | LocalizerMaps,
    protocol: Protocol,
    count: int,
    seed: int,
    score: str = "ssim",
    among: Positions | None = None,
) -> SurrogateScores:
    """What that likeness would be by texture alone: of each image's map in one set to surrogates of its map in the
    other, the mean over `count` of them (see `surrogate`)."""
    likeness = _likeness(first, protocol, score)
    return SurrogateScores(first, second, _same_images(first, second, among), *likeness, count=count, seed=seed)


def unrelated_similarity(
    maps: SaliencyMaps, protocol: Protocol, seed: int, score: str = "ssim", among: Positions | None = None
) -> SimilarityScores:
    """Of maps of different images by one model. Its mean over the pairs is a method's degradation threshold: likeness
    that owes nothing to the image.

    The same pairs serve every method, unless the protocol draws them anew for each.
    """
    draw = (seed, crc32(maps.method.encode())) if protocol.pairs_by_method else (seed,)
    places = [i for i, image in enumerate(maps.images) if among is None or image in among]
    drawn = different_pairs(len(places), protocol.threshold_pairs, draw)
    pairs = tuple((places[first], places[second]) for first, second in drawn)
    return SimilarityScores(maps, maps, pairs, *_likeness(maps, protocol, score))


def _likeness(maps: SaliencyMaps | LocalizerMaps, protocol: Protocol, score: str) -> tuple[Any, str, dict[str, Any]]:
    preparation, settings = protocol.likeness(score, _localizer(maps))
    return preparation, score, settings


def _localizer(maps: Any) -> str:
    """The kind of the localizer whose maps these are, "" for others."""
    return maps.model.localizer if isinstance(maps, LocalizerMaps) else ""


def _same_images(first: Any, second: Any, among: Positions | None) -> tuple[tuple[int, int], ...]:
    shared = set(first.images) if among is None else set(first.images).intersection(among)
    return tuple((first.images.index(image), i) for i, image in enumerate(second.images) if image in shared)


def different_pairs(n: int, count: int, seed: int | tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """At most `count` distinct pairs (i < j) of n images, drawn without replacement.

    >>> different_pairs(2, 50, seed=0)
    ((0, 1),)
    """
    first, second = np.triu_indices(n, k=1)
    drawn = np.random.default_rng(seed).permutation(len(first))[:count]
    return tuple((int(first[k]), int(second[k])) for k in drawn)


def images_of(scores: Scores) -> tuple[int, ...]:
    """Positions in the test split of the images that some scores are of; of a pair, the second map's."""
    if isinstance(scores, LocalizationScores):
        return scores.maps.images
    return tuple(scores.second.images[second] for _, second in scores.pairs)


# --- the four criteria ------------------------------------------------------------------------------------------------


def _utility(maps: Maps, protocol: Protocol, method: str) -> Compared:
    low = Baseline("average mask", localization(maps.average_artefact(), protocol))
    return Compared((localization(maps.artefact(method), protocol),), (low,))


def _finders(maps: Maps, protocol: Protocol) -> dict[str, Scores]:
    """The controls, the average truth and the first localizer, against the truth."""
    found = {control: maps.artefact(control) for control in CONTROLS} | {"average": maps.average_artefact()}
    found[maps.card.localizer] = maps.localizer_artefact()
    return {name: localization(one, protocol) for name, one in found.items()}


def _randomization(maps: Maps, protocol: Protocol, method: str) -> Compared:
    end = maps.cascade_stages(protocol)[-1]
    values = tuple(
        similarity(maps.before_cascade(method, one), maps.cascade(method, one)[end], protocol)
        for one in maps.networks.replicates
    )
    return Compared(values, (different_images(maps, protocol, method),))


def different_images(maps: Maps, protocol: Protocol, method: str) -> Baseline:
    """The likeness of the main network's maps of different images."""
    found = unrelated_similarity(maps.artefact(method), protocol, maps.images.seed, among=maps.images.compared)
    return Baseline("different images", found, paired=False)


def compared_with(first: SaliencyMaps, second: SaliencyMaps, maps: Maps, protocol: Protocol) -> Compared:
    """The likeness of two sets of maps, and the low baselines that the protocol names, or its number.

    Args:
        first: of the main network.
        second: of another network or state, of the same method.
        maps: all that there are.
        protocol: how they are scored.
    """
    names, images = protocol.low_baseline, maps.images
    likeness = (similarity(first, second, protocol, among=images.compared),)
    if not isinstance(names, tuple):
        return Compared(likeness, (Baseline(f"{names:g}", names),))

    def surrogates() -> Baseline:
        settings = protocol, images.profile.surrogates, images.seed
        return Baseline("surrogates", surrogate_similarity(first, second, *settings, among=images.compared))

    measured = {"surrogates": surrogates, "different images": lambda: different_images(maps, protocol, first.method)}
    return Compared(likeness, tuple(measured[name]() for name in names))


def _with_partner(partner: Callable[[Networks], str | None]) -> Callable[[Maps, Protocol, str], Compared]:
    def compare(maps: Maps, protocol: Protocol, method: str) -> Compared:
        both = maps.artefact(method), maps.artefact(method, partner(maps.networks))
        return compared_with(*both, maps, protocol)

    return compare


def _two_localizers(maps: Maps, protocol: Protocol) -> dict[str, Scores]:
    both = maps.localizer_artefact(1), maps.localizer_artefact(2)
    return {maps.card.localizer: similarity(*both, protocol, among=maps.images.compared)}


add(
    Criterion(
        name="utility",
        question="Does it find\nthe abnormality?",
        pictures=("image", "map"),
        score="auprc",
        low="average",
        high="localizer",
        compare=_utility,
        beside=_finders,
    )
)
add(
    Criterion(
        name="randomization",
        question="Does it depend\non the weights?",
        pictures=("trained", "random"),
        score="ssim",
        low="threshold",
        compare=_randomization,
        larger_is_better=False,
    )
)
for _name, _question, _partner in (
    ("repeatability", "Would a replicate\nagree?", lambda networks: networks.replicate),
    ("reproducibility", "Would another\narchitecture agree?", lambda networks: networks.other),
):
    add(
        Criterion(
            name=_name,
            question=_question,
            pictures=("network 1", "network 2" if _name == "repeatability" else "other kind"),
            score="ssim",
            low="low",
            high="localizer",
            compare=_with_partner(_partner),
            beside=_two_localizers,
            partner=_partner,
        )
    )
