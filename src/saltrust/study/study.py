"""The facade that chapters talk to: one data set, one profile, one protocol, one seed."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd

from saltrust.artefacts.scores import LocalizationScores
from saltrust.artefacts.store import Store
from saltrust.core import data_cards
from saltrust.core.card_names import check_names
from saltrust.core.errors import SaltrustError
from saltrust.core.profiles import PROFILES
from saltrust.core.protocols import PROTOCOLS, Protocol
from saltrust.methods.registry import select
from saltrust.stats.bootstrap import clusters_of
from saltrust.study.criteria import CRITERIA, Baseline, Scores, images_of, strictest
from saltrust.study.examples import Example, extremes
from saltrust.study.frames import Frames
from saltrust.study.maps import Maps
from saltrust.study.networks import networks_of
from saltrust.study.verdict import VerdictCell, judge


class Study:
    """Everything that is asked of one data set's saliency maps. What is missing is computed, what is stored is read.

    A study is a chain, in which each link knows only those before it: `images`, `networks`, `maps`, `criteria`.

    Args:
        dataset: the name of a data card.
        profile: the size of the run, a name in PROFILES.
        protocol: the choices of the analysis, a name in PROTOCOLS.
        seed: of everything that is drawn.
        store: where results are kept, by default in the results folder.

    Raises:
        SaltrustError: before any work, for an unknown name, data that is not on this machine, or a model that cannot be
            judged.
    """

    def __init__(
        self,
        dataset: str,
        profile: str = "quick",
        protocol: str = "corrected",
        seed: int = 0,
        store: Store | None = None,
    ):
        self.profile, self.seed = PROFILES[profile], seed
        chosen = PROTOCOLS[protocol]
        self.card = data_cards.load(dataset).under(protocol)
        check_names(self.card)
        self.store = store or Store()
        self.card.refuse_absent()
        trained_here = self.card.contrast and not self.card.models
        compared = len(self.card.findings) > 1 or trained_here  # maps of several outputs, with each other
        if self.card.truth == "none" and not compared:
            raise SaltrustError(f"data set '{dataset}' has labels alone (truth 'none'): no map can be judged by them")
        self.networks = networks_of(self.card, self.profile, seed, self.store)
        self.images = self.networks.images
        self._follow(chosen)

    def _follow(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.maps = Maps(self.networks, protocol)
        self.criteria = Frames(self.maps)

    def with_protocol(self, protocol: Protocol) -> "Study":
        """The same images and networks under another protocol, which need not have a name."""
        variant = copy.copy(self)
        variant._follow(protocol)
        return variant

    def with_training(self, share: float) -> "Study":
        """The same test images, with networks that learn from a share of the training images.

        An epoch then has as many batches as these fill, as it would in a smaller data set.

        Args:
            share: above 0 and up to 1; at least two batches of images are left.
        """
        images = self.images.artefact("train").count
        batch = max(training.batch_size for training in self.profile.architectures.values())
        count = min(max(round(images * share), 2 * batch), images)
        architectures = {name: training.at_most(count) for name, training in self.profile.architectures.items()}
        variant = copy.copy(self)
        variant.profile = replace(self.profile, train=count, architectures=architectures)
        variant.networks = networks_of(self.card, variant.profile, self.seed, self.store)
        variant.images = variant.networks.images
        variant._follow(self.protocol)
        return variant

    def verdicts(self, methods: str = "paper", n_boot: int = 1000) -> pd.DataFrame:
        """Table 2: each method against each baseline of each criterion, its verdict and the numbers compared.

        Args:
            methods: names and groups of methods, joined by commas.
            n_boot: resamples behind an interval.

        Returns:
            The columns of `judge`.
        """
        frames = {name: self.criteria.of(name, methods) for name in self.criteria.applicable}
        beside = {name: CRITERIA[name].beside(self.maps, self.protocol) for name in frames}
        cells = []
        for method in select(methods):
            for name, frame in frames.items():
                criterion = CRITERIA[name]
                compared = criterion.compare(self.maps, self.protocol, method)
                references = {criterion.low: strictest(compared.low, self.store.get, criterion.larger_is_better)}
                if criterion.high:
                    references[criterion.high] = Baseline(self.card.localizer, beside[name][self.card.localizer])
                own = frame[frame["method"] == method]
                cells += [
                    VerdictCell(
                        method=method,
                        criterion=name,
                        baseline=baseline,
                        values=own.groupby("image", sort=False)[criterion.score].mean().to_numpy(),
                        against=reference.name,
                        reference=reference.value(self.store.get),
                        larger=criterion.larger_is_better,
                        paired=reference.paired,
                        clusters=clusters_of(self.images.ids(images_of(compared.values[0])), self.images.clusters),
                    )
                    for baseline, reference in references.items()
                ]
        return judge(cells, self.protocol, n_boot, self.seed)

    def examples(self, methods: str = "paper") -> list[Example]:
        """The best and the worst example of each criterion. methods: as in `verdicts`."""
        test = self.images.split("test")
        position = {test.ids[index]: index for index in self.images.explained}
        found = []
        for name, criterion in self.criteria.applicable.items():
            frame = self.criteria.of(name, methods)
            own = frame[frame["method"].isin(select(methods)) & (frame["replicate"] == 1)]
            for answer, row in extremes(own, criterion.score, criterion.larger_is_better):
                index = position[row["image"]]
                values = criterion.compare(self.maps, self.protocol, row["method"]).values[0]
                label = f"{criterion.score_title} {row[criterion.score]:.2f}"
                pictures = self._pictures(values, images_of(values).index(index))
                found.append(Example(name, answer, row["method"], label, *pictures, test.truth[index]))
        return found

    def _pictures(self, scores: Scores, place: int) -> tuple[np.ndarray, np.ndarray]:
        """The two pictures that one of some scores compares."""
        if isinstance(scores, LocalizationScores):
            image = self.images.split("test").pixels[scores.maps.images[place]]
            return image, self.maps.displayed(scores.maps)[place]
        first, second = scores.pairs[place]
        return self.maps.displayed(scores.first)[first], self.maps.displayed(scores.second)[second]
