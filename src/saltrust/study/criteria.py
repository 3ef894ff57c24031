"""What a map is judged by: each criterion is one object, which all that is said of it reads (Arun et al., Results).

Utility compares a map with its image's truth; randomization, a map of the trained network with one of the same network
after its weights were drawn anew; repeatability, the main network's map of an image with its replicate's, by SSIM; and
reproducibility, with another architecture's.

A criterion names two sets of scores to compare: those of a method's maps, and those of its low baseline. They are given
as artefacts, so nothing is computed here. Tables of scores (`study.frames`), verdicts, the multiverse, the report card,
mixed models, claims and figures take the criteria from CRITERIA: one entry more there is one more criterion everywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from saltrust.artefacts.maps import LocalizerMaps, SaliencyMaps
from saltrust.artefacts.scores import LocalizationScores, SimilarityScores, SurrogateScores
from saltrust.core.protocols import Protocol
from saltrust.core.registry import Registry
from saltrust.methods.registry import CONTROLS
from saltrust.study.maps import Maps
from saltrust.study.networks import Networks

Scores = LocalizationScores | SimilarityScores
Compared = tuple[tuple[Scores, ...], Scores | float]
"""The scores of a method's maps, one set for each draw of random weights; and those, or the number, to compare with."""


@dataclass(frozen=True)
class Criterion:
    """One way to judge a method's maps.

    Attributes:
        name: as in tables and in CRITERIA.
        question: in words, on two lines.
        pictures: what is compared, in two words: of the image or map that is compared, and of the map beside it.
        score: the column of its scores, "auprc" or "ssim".
        low: what its low baseline is called.
        compare: (maps, protocol, method) -> what is compared. Maps are made as `maps.protocol` says, and scored as
            `protocol` says: in the multiverse the two may differ.
        high: what its high baseline is called, None for a criterion without. It is the score of the card's localizer in
            `beside`.
        beside: (maps, protocol) -> scores of what stands beside the methods, by its name.
        larger_is_better: whether a method's scores must exceed the baseline's.
        paired: whether scores and low baseline are of the same images.
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
    paired: bool = True
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
) -> SimilarityScores:
    """Of each image's map in one set with the same image's map in another; images that one of them lacks are left out.
    score: a name in SIMILARITY."""
    return SimilarityScores(first, second, _same_images(first, second), *_likeness(first, protocol, score))


def surrogate_similarity(
    first: SaliencyMaps | LocalizerMaps,
    second: SaliencyMaps | LocalizerMaps,
    protocol: Protocol,
    count: int,
    seed: int,
    score: str = "ssim",
) -> SurrogateScores:
    """What that likeness would be by texture alone: of each image's map in one set to surrogates of its map in the
    other, the mean over `count` of them (see `surrogate`)."""
    likeness = _likeness(first, protocol, score)
    return SurrogateScores(first, second, _same_images(first, second), *likeness, count=count, seed=seed)


def unrelated_similarity(maps: SaliencyMaps, protocol: Protocol, seed: int, score: str = "ssim") -> SimilarityScores:
    """Of maps of different images by one model. Its mean over the pairs is a method's degradation threshold: likeness
    that owes nothing to the image or the model.

    The same pairs serve every method, unless the protocol draws them anew for each.
    """
    draw = (seed, crc32(maps.method.encode())) if protocol.pairs_by_method else (seed,)
    pairs = different_pairs(len(maps.images), protocol.threshold_pairs, draw)
    return SimilarityScores(maps, maps, pairs, *_likeness(maps, protocol, score))


def _likeness(maps: SaliencyMaps | LocalizerMaps, protocol: Protocol, score: str) -> tuple[Any, str, dict[str, Any]]:
    preparation, settings = protocol.likeness(score, _localizer(maps))
    return preparation, score, settings


def _localizer(maps: Any) -> str:
    """The kind of the localizer whose maps these are, "" for others."""
    return maps.model.localizer if isinstance(maps, LocalizerMaps) else ""


def _same_images(first: Any, second: Any) -> tuple[tuple[int, int], ...]:
    return tuple((first.images.index(image), i) for i, image in enumerate(second.images) if image in first.images)


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
    return (localization(maps.artefact(method), protocol),), localization(maps.average_artefact(), protocol)


def _finders(maps: Maps, protocol: Protocol) -> dict[str, Scores]:
    """The controls, the average truth and the first localizer, against the truth."""
    found = {control: maps.artefact(control) for control in CONTROLS} | {"average": maps.average_artefact()}
    found[maps.card.localizer] = maps.localizer_artefact()
    return {name: localization(one, protocol) for name, one in found.items()}


def _randomization(maps: Maps, protocol: Protocol, method: str) -> Compared:
    images, last = maps.images, maps.networks.stages[-1]
    trained = maps.artefact(method)
    states = (maps.cascade(replicate)[last] for replicate in range(images.profile.replicates))
    random = (maps.artefact(method, images=images.cascaded, randomization=state) for state in states)
    values = tuple(similarity(trained, one, protocol) for one in random)
    return values, unrelated_similarity(trained, protocol, images.seed)


def compared_with_surrogates(first: SaliencyMaps, second: SaliencyMaps, maps: Maps, protocol: Protocol) -> Compared:
    """The likeness of two sets of maps, and what texture alone would make of it, or the protocol's number for that."""
    low, images = protocol.low_baseline, maps.images
    if low is None:
        low = surrogate_similarity(first, second, protocol, images.profile.surrogates, images.seed)
    return (similarity(first, second, protocol),), low


def _with_partner(partner: Callable[[Networks], str | None]) -> Callable[[Maps, Protocol, str], Compared]:
    def compare(maps: Maps, protocol: Protocol, method: str) -> Compared:
        both = maps.artefact(method), maps.artefact(method, partner(maps.networks))
        return compared_with_surrogates(*both, maps, protocol)

    return compare


def _two_localizers(maps: Maps, protocol: Protocol) -> dict[str, Scores]:
    both = maps.localizer_artefact(1), maps.localizer_artefact(2)
    return {maps.card.localizer: similarity(*both, protocol)}


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
        paired=False,
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
