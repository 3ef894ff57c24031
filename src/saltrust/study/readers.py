"""Maps beside what several readers drew in the same images (Venkatesh et al.)."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from saltrust.artefacts import Artefact
from saltrust.artefacts.maps import LocalizerMaps, SaliencyMaps, prepared
from saltrust.artefacts.readers import (
    CONSENSUS,
    EXACT,
    OTHERS,
    READER,
    SCORES,
    ReaderScores,
    references,
    scored,
)  # fmt: skip
from saltrust.artefacts.scores import ScoreBatch
from saltrust.core.errors import SaltrustError
from saltrust.core.progress import track
from saltrust.core.protocols import Protocol
from saltrust.scores.similarity import ABOVE_CHANCE, OF_MARKS, SIMILARITY
from saltrust.stats.bootstrap import clusters_of
from saltrust.study.criteria import Scores, images_of, localization, similarity, unrelated_similarity
from saltrust.study.study import Study

EDGES = "canny"  # what maps are compared with that see no network
MODES = ("raw", "otsu", "boxes")  # in which the study scores each map
DRAWN = "drawn"  # the mode of what readers drew
BETWEEN = ("ssim", *OF_MARKS, ABOVE_CHANCE)  # how alike two maps are, or what two readers drew
COLUMNS = ["image", "rater", "mode", "reference", "score", "value"]
SIZES = ("smallest third", "middle third", "largest third")

Maps = SaliencyMaps | LocalizerMaps


class ReaderStudy:
    """What readers drew in the explained images of a study, and how its maps compare with that.

    A rater is whoever marks an image: a method, the edges, the localizer, or a reader. Each is held against references:
    the "consensus" of all readers (the truth of the data), the consensus of the "others" for each reader in turn, each
    reader by itself ("pairwise"), and the "exact" truth where there is one that no reader drew. A reader is never its
    own reference but in the consensus.

    Args:
        study: of a data set whose card counts its readers.

    Attributes:
        choices: of the protocol.
        ids: names (n,) of the explained images.

    Raises:
        SaltrustError: where the data have no readers.
    """

    def __init__(self, study: Study):
        self.study, self.store, self.choices = study, study.store, study.protocol.readers
        if not study.card.readers:
            raise SaltrustError(
                f"data set '{study.card.name}': its card counts no 'readers', whose drawings are kept apart"
            )
        self.images = study.images.explained
        self.ids = study.images.ids(self.images)

    # --- what readers drew ----------------------------------------------------------------------------------------

    @cached_property
    def readers(self) -> tuple[str, ...]:
        """Their names."""
        return self.study.images.split("test").readers.names

    @cached_property
    def references(self) -> dict[str, np.ndarray]:
        """Masks (n, height, width) of the explained images, by the name of the reference."""
        return references(self.study.images.split("test"), self.images)

    @cached_property
    def drawn(self) -> np.ndarray:
        """What the readers drew (readers, n, height, width)."""
        return np.stack([self.references[READER + name] for name in self.readers])

    @property
    def exact(self) -> np.ndarray | None:
        """The exact truth (n, height, width), None where nobody knows it."""
        return self.references.get(EXACT)

    @cached_property
    def clusters(self) -> np.ndarray | None:
        """What each explained image belongs to (n,), None where each stands for itself."""
        return clusters_of(self.ids, self.study.images.clusters)

    @cached_property
    def right(self) -> np.ndarray:
        """Whether the main network finds the abnormality in each explained image (n,)."""
        scores = np.array(self.study.networks.trained().record["test_scores"])
        return scores[list(self.images)] > 0

    @property
    def judged(self) -> np.ndarray:
        """Whether each explained image counts in what maps find (n,), by the protocol; all do where the network, as one
        that has learned next to nothing, gets none of them right."""
        return self.right if self.choices.correct and self.right.any() else np.ones(len(self.ids), bool)

    @cached_property
    def subgroups(self) -> dict[str, np.ndarray]:
        """The explained images by what they show: of each way to group them, the group (n,) of each."""
        split, images = self.study.images.split("test"), list(self.images)
        area = self.references[CONSENSUS].mean(axis=(1, 2))
        ranks = np.argsort(np.argsort(area, kind="stable"), kind="stable")
        found = {"size": np.array(SIZES)[ranks * len(SIZES) // len(area)]}
        if split.findings is not None and len(split.findings.names) > 1:
            kinds = np.array(split.findings.names)[split.findings.present[images].argmax(axis=1)]
            found = {"finding": kinds} | found
        return found

    # --- names in the store ---------------------------------------------------------------------------------------

    def raters(self, methods: Sequence[str]) -> dict[str, Maps]:
        """Maps of the explained images: of methods by the main network, of edges, and of the localizer."""
        maps = self.study.maps
        found = {name: maps.artefact(name) for name in dict.fromkeys((*methods, EDGES))}
        return found | {self.study.card.localizer: maps.localizer_artefact()}

    def pairs(self, methods: Sequence[str]) -> Iterator[tuple[str, str, Maps, Maps]]:
        """What is compared between networks: criterion, rater, maps of the main network, maps of the other one."""
        maps = self.study.maps
        for criterion, other in self.study.criteria.partners.items():
            yield from ((criterion, name, maps.artefact(name), maps.artefact(name, other)) for name in methods)
        yield "repeatability", self.study.card.localizer, maps.localizer_artefact(1), maps.localizer_artefact(2)

    def artefacts(self, methods: Sequence[str], cascade: bool = True) -> Iterator[Artefact]:
        """All that is asked for, but for scores. cascade: whether maps of random networks are."""
        study = self.study
        yield study.images.artefact("test")
        yield from self.raters(methods).values()
        for *_, first, second in self.pairs(methods):
            yield from (first, second)
        if cascade:
            for method in methods:
                yield study.maps.before_cascade(method, study.networks.main)
                yield from study.maps.cascade(method, study.networks.main).values()

    def protocol(self, rater: str, mode: str) -> Protocol:
        """How the maps of a rater are scored in a mode. The boxes of edges are not opened, as in the study: nothing
        would be left of them."""
        unopened = rater == EDGES and mode == "boxes"
        return self.study.protocol.in_mode("unopened_boxes" if unopened else mode)

    def kept(self, rater: str, maps: Maps, mode: str) -> np.ndarray:
        """What is kept of a rater's maps in a mode: (n, height, width) in [0, 1]."""
        return prepared(maps, localization(maps, self.protocol(rater, mode)).preparation, self.store.get)

    # --- scores ---------------------------------------------------------------------------------------------------

    def _against(self, rater: str, maps: Maps, mode: str) -> np.ndarray:
        """Scores (references, SCORES, n) of a rater's maps."""
        preparation = localization(maps, self.protocol(rater, mode)).preparation
        return self.store.get(ReaderScores(maps, preparation))

    def maps_against(self, methods: Sequence[str], modes: Iterable[str] = MODES) -> pd.DataFrame:
        """Every rater that is no reader against the references. Against the readers one by one the mean over them
        counts.

        Args:
            methods: names in METHODS.
            modes: names in MODES.

        Returns:
            COLUMNS, a row for each image.
        """
        asked = [(rater, maps, mode) for rater, maps in self.raters(methods).items() for mode in modes]
        frames = [
            self._frame(rater, mode, self._joined(self._against(rater, maps, mode)))
            for rater, maps, mode in track(asked, "maps beside readers", len(asked))
        ]
        return pd.concat(frames, ignore_index=True)

    def _joined(self, values: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
        """Scores (n,) by kind of reference and score, of (references, SCORES, n)."""
        names, found = list(self.references), {}
        groups = {name: [name] for name in (CONSENSUS, EXACT) if name in self.references}
        groups |= {"others": [OTHERS + name for name in self.readers], "pairwise": [READER + n for n in self.readers]}
        for reference, members in groups.items():
            means = _mean_of_known(values[[names.index(member) for member in members]])
            found |= {(reference, score): row for score, row in zip(SCORES, means, strict=True)}
        return found

    def _frame(self, rater: str, mode: str, values: dict[tuple[str, str], np.ndarray]) -> pd.DataFrame:
        parts = [
            pd.DataFrame({"image": self.ids, "reference": reference, "score": score, "value": row})
            for (reference, score), row in values.items()
        ]
        return pd.concat(parts, ignore_index=True).assign(rater=rater, mode=mode)[COLUMNS]

    @cached_property
    def _of_readers(self) -> dict[str, np.ndarray]:
        """By reader, scores (references, SCORES, n) of what the reader drew; a reader against itself is NaN."""
        split, found = self.study.images.split("test"), {}
        for position, name in enumerate(self.readers):
            values = scored(self.drawn[position].astype(float), self.references)
            values[list(self.references).index(READER + name)] = np.nan
            values[:, :, ~split.readers.read[position][list(self.images)]] = np.nan
            found[name] = values
        return found

    def readers_against(self) -> pd.DataFrame:
        """Each reader against the references: COLUMNS, a row for each image. A reader's "others" are all but this one;
        the "pairwise" score is the mean over them."""
        frames = []
        for name, values in self._of_readers.items():
            held = self._joined(values)
            own = values[list(self.references).index(OTHERS + name)]
            held |= {("others", score): row for score, row in zip(SCORES, own, strict=True)}
            held |= {
                (reference, score): self._likeness(name, reference, score)
                for reference in (CONSENSUS, "pairwise")
                for score in ("ssim", ABOVE_CHANCE)
            }
            frames.append(self._frame(name, DRAWN, held))
        return pd.concat(frames, ignore_index=True)

    def _likeness(self, name: str, reference: str, score: str) -> np.ndarray:
        """How alike (n,) what a reader drew is to the consensus, or to what each other reader drew."""
        own = self.references[READER + name].astype(float)
        others = [self.references[CONSENSUS]] if reference == CONSENSUS else np.delete(
            self.drawn, self.readers.index(name), axis=0
        )  # fmt: skip
        _, settings = self.study.protocol.likeness(score)
        return np.mean([SIMILARITY[score](own, other.astype(float), **settings) for other in others], axis=0)

    def alignments(self, rater: str, maps: Maps, score: str, mode: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """How well a rater, and each reader, fits the consensus of the others.

        Args:
            rater: of `raters`.
            maps: its own.
            score: a name in SCORES.
            mode: a name in MODES, None for that of the protocol.

        Returns:
            The rater's scores, and the reader's (readers, n): row j is held against the consensus of all but reader j.
        """
        names, column = list(self.references), SCORES.index(score)
        rows = [names.index(OTHERS + name) for name in self.readers]
        own = self._against(rater, maps, mode or self.choices.mode)[rows, column]
        return own, np.stack(
            [self._of_readers[name][row, column] for name, row in zip(self.readers, rows, strict=True)]
        )

    def between(self, methods: Sequence[str], modes: Iterable[str] = MODES) -> pd.DataFrame:
        """How alike the maps of two networks are; the reference is the criterion that asks for it.

        Args:
            methods: names in METHODS.
            modes: names in MODES.

        Returns:
            COLUMNS, a row for each image.
        """
        asked = [(*pair, mode, score) for pair in self.pairs(methods) for mode in modes for score in BETWEEN]
        return self._scored(
            [
                (
                    {"rater": rater, "mode": mode, "reference": criterion, "score": score},
                    similarity(first, second, self.protocol(rater, mode), score),
                )
                for criterion, rater, first, second, mode, score in asked
            ]
        )

    def cascade(self, methods: Sequence[str], score: str = "iou") -> pd.DataFrame:
        """How alike a trained network's maps are to those of the same network, stage after stage of it random.

        Args:
            methods: names in METHODS.
            score: a name in BETWEEN.

        Returns:
            Columns image, method, stage, <score>, in the mode of the protocol.
        """
        maps, protocol, main = self.study.maps, self.study.protocol.in_mode(self.choices.mode), self.study.networks.main
        trained = {method: maps.before_cascade(method, main) for method in methods}
        random = {method: maps.cascade(method, main) for method in methods}
        found = [  # a stage is asked for by all methods, one after the other: its weights are slow to draw
            ({"method": method, "stage": stage}, similarity(trained[method], random[method][stage], protocol, score))
            for stage in self.study.networks.stages
            for method in methods
        ]
        frame = self._scored(found).rename(columns={"value": score})
        by_method = frame["method"].map([*methods].index)
        return frame.iloc[by_method.argsort(kind="stable")].reset_index(drop=True)

    def thresholds(self, methods: Sequence[str], score: str = "iou") -> dict[str, float]:
        """The mean likeness of the main network's maps of different images, by method: what a map must fall below when
        the network is random."""
        maps, protocol = self.study.maps, self.study.protocol.in_mode(self.choices.mode)
        return {
            method: float(
                np.nanmean(
                    self.store.get(unrelated_similarity(maps.artefact(method), protocol, self.study.seed, score))
                )
            )
            for method in methods
        }

    def _scored(self, sets: Sequence[tuple[dict[str, str], Scores]]) -> pd.DataFrame:
        """The values of some scores: column image, the labels of each, and value."""
        values = self.store.get(ScoreBatch(tuple(scores for _, scores in sets)))
        return pd.concat(
            [
                pd.DataFrame({"image": self.study.images.ids(images_of(scores)), **labels, "value": own})
                for (labels, scores), own in zip(sets, values, strict=True)
            ],
            ignore_index=True,
        )


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    """Means over the first axis without NaN; NaN where there is nothing else."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, values, 0).sum(axis=0) / np.maximum(count, 1), np.nan)
