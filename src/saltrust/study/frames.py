"""The fourth link of a study: the scores of its maps as tidy frames, for chapters and for all that reads CRITERIA."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from saltrust.core.progress import track
from saltrust.methods.registry import CONTROLS, select
from saltrust.study.criteria import (
    CRITERIA,
    Criterion,
    Scores,
    images_of,
    localization,
    similarity,
    strictest,
    surrogate_similarity,
    unrelated_similarity,
)
from saltrust.study.maps import Maps

Labelled = tuple[Mapping[str, object], Scores]
"""The columns that name some scores, and the scores."""


class Frames:
    """Scores by image. `methods` is names and groups of methods joined by commas, "paper" for the eight of Arun et al.

    Args:
        maps: that are scored, as their protocol says.
    """

    def __init__(self, maps: Maps):
        self.maps, self.protocol = maps, maps.protocol
        self.images, self.networks = maps.images, maps.networks

    @property
    def applicable(self) -> dict[str, Criterion]:
        """The criteria that there are networks for, by name."""
        return {name: criterion for name, criterion in CRITERIA.items() if criterion.applies(self.networks)}

    @property
    def partners(self) -> dict[str, str]:
        """With which classifier's maps those of the main one are compared, by criterion."""
        return {name: c.partner(self.networks) for name, c in self.applicable.items() if c.partner}

    def of(self, criterion: str, methods: str = "paper") -> pd.DataFrame:
        """The scores of one criterion, as its verdict takes them.

        Args:
            criterion: a name in CRITERIA.
            methods: that are judged.

        Returns:
            Columns image, method, replicate (the number of the network that is judged: 1 is the main one, and stands
            for what has no network) and the criterion's score; the methods, then what stands beside them.
        """
        found = CRITERIA[criterion]
        names = select(methods)
        values = {method: found.compare(self.maps, self.protocol, method).values for method in names}
        sets = [
            ({"method": method, "replicate": k + 1}, values[method][k])
            for k in range(len(values[names[0]]))
            for method in names
        ]
        beside = found.beside(self.maps, self.protocol).items()
        sets += [({"method": name, "replicate": 1}, scores) for name, scores in beside]
        return self.frame(track(sets, criterion), found.score)

    def low_baselines(self, criterion: str, methods: str = "paper") -> pd.DataFrame:
        """The low baselines of one criterion by the study's protocol, and which of them counts.

        Args:
            criterion: a name in CRITERIA.
            methods: that are judged.

        Returns:
            Columns method, baseline (its name), mean, counts (whether it is the strictest).
        """
        found, get = CRITERIA[criterion], self.maps.store.get
        rows = []
        for method in select(methods):
            low = found.compare(self.maps, self.protocol, method).low
            counts = strictest(low, get, found.larger_is_better)
            rows += [(method, one.name, float(np.nanmean(one.value(get))), one is counts) for one in low]
        return pd.DataFrame(rows, columns=["method", "baseline", "mean", "counts"])

    def frame(self, sets: Iterable[Labelled], score: str) -> pd.DataFrame:
        """Columns image, <labels>, <score> of some scores, a row for each image."""
        frames = [
            pd.DataFrame({"image": self.images.ids(images_of(scores)), **labels, score: self.maps.store.get(scores)})
            for labels, scores in sets
        ]
        return pd.concat(frames, ignore_index=True)

    def localization(self, methods: str = "paper", score: str = "auprc", models: Sequence[str] = ()) -> pd.DataFrame:
        """Utility of several networks' maps, with the controls, the average mask and both localizers beside.

        Args:
            methods: controls that are named among them are scored as methods too.
            score: "auprc", or a name in LOCALIZATION.
            models: classifiers, by default all that are judged.

        Returns:
            Columns image, method, model ("control" for a control and the average mask), <score>.
        """
        maps, kind = self.maps, self.maps.card.localizer
        sets = [
            (method, model, maps.artefact(method, model))
            for model in models or self.networks.judged
            for method in select(methods)
        ]
        sets += [(control, "control", maps.artefact(control)) for control in CONTROLS]
        sets.append(("average", "control", maps.average_artefact()))
        sets += [(kind, f"{kind}-{k}", maps.localizer_artefact(k)) for k in (1, 2)]
        scored = [({"method": m, "model": model}, localization(one, self.protocol, score)) for m, model, one in sets]
        return self.frame(track(scored, f"localization, {score}"), score)

    def sensitivity(
        self, methods: str = "paper", order: str = "top_down", score: str = "ssim", stage: str | None = None
    ) -> pd.DataFrame:
        """Likeness to the trained model's map after each stage of randomization.

        Args:
            methods: whose maps are followed.
            order: a name in ORDERS.
            score: a name in SIMILARITY.
            stage: the one that is asked for, None for all.

        Returns:
            Columns image, method, stage, replicate (the number of the network, 1 for the main one), <score>.
        """
        maps, names = self.maps, select(methods)
        pairs = []
        for number, network in enumerate(self.networks.replicates, start=1):
            trained = {method: maps.before_cascade(method, network) for method in names}
            random = {method: maps.cascade(method, network, order) for method in names}
            pairs += [
                (
                    {"method": method, "stage": name, "replicate": number},
                    similarity(trained[method], random[method][name], self.protocol, score),
                )
                for name in self.networks.stages_in(order)
                if stage in (None, name)
                for method in names
            ]
        return self.frame(track(pairs, f"randomization, {score}"), score)

    def thresholds(self, methods: str = "paper", score: str = "ssim") -> pd.DataFrame:
        """Likeness of the trained model's maps of different images: image (the pair's number), method, <score>."""
        frames = []
        for method in select(methods):
            maps, seed = self.maps.artefact(method), self.images.seed
            scores = unrelated_similarity(maps, self.protocol, seed, score, among=self.images.compared)
            names = [f"pair {i}" for i in range(len(scores.pairs))]
            frames.append(pd.DataFrame({"image": names, "method": method, score: self.maps.store.get(scores)}))
        return pd.concat(frames, ignore_index=True)

    def stability(self, methods: str = "paper") -> dict[str, pd.DataFrame]:
        """Repeatability and reproducibility, as far as there are networks to compare: by criterion, columns image,
        method, model, ssim."""
        found = {}
        for criterion, partner in self.partners.items():
            frame = self.of(criterion, methods).drop(columns="replicate")
            frame.insert(2, "model", self._compared(frame["method"], partner))
            found[criterion] = frame
        return found

    def null(self, methods: str = "paper", other: str | None = None) -> pd.DataFrame:
        """SSIM by texture alone: of each map with surrogates of the map that another model makes of that image.

        Args:
            methods: whose maps are compared; the two localizers stand beside.
            other: a classifier, by default the main one itself.

        Returns:
            Columns image, method, model, ssim.
        """
        maps, kind, other = self.maps, self.maps.card.localizer, other or self.networks.main
        pairs = [(method, maps.artefact(method), maps.artefact(method, other)) for method in select(methods)]
        pairs.append((kind, maps.localizer_artefact(1), maps.localizer_artefact(2)))
        settings = self.protocol, self.images.profile.surrogates, self.images.seed
        among = self.images.compared
        sets = [({"method": method}, surrogate_similarity(*both, *settings, among=among)) for method, *both in pairs]
        frame = self.frame(track(sets, "surrogates"), "ssim")
        frame.insert(2, "model", self._compared(frame["method"], other))
        return frame

    def _compared(self, methods: pd.Series, other: str) -> np.ndarray:
        """What is compared, for the column `model`: the main network with another one, and the two localizers."""
        kind = self.maps.card.localizer
        return np.where(methods == kind, f"{kind}-1 ~ {kind}-2", f"{self.networks.main} ~ {other}")

    def other_class(self, methods: str = "paper") -> pd.DataFrame:
        """SSIM between one model's maps of one cascaded image for two classes: image, method, ssim.

        The explained one, and its contrary (a single output: against the finding) or the next most likely class.
        """
        maps = self.maps
        contrary = {"images": self.images.cascaded, "contrary": True}
        pairs = [
            ({"method": m}, similarity(maps.artefact(m), maps.artefact(m, **contrary), self.protocol))
            for m in select(methods)
        ]
        return self.frame(track(pairs, "another class"), "ssim")
