"""Two networks on the same test images: one that could learn a shortcut, and its control, which could not."""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from saltrust.artefacts import Artefact
from saltrust.artefacts.maps import SaliencyMaps
from saltrust.artefacts.scores import FindingScores
from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Split
from saltrust.core.progress import track
from saltrust.datasets.phantom import CROSSED, TUBE
from saltrust.stats.bootstrap import clusters_of
from saltrust.study.images import spread
from saltrust.study.study import Study

STATES = tuple(CROSSED)  # how each patient is seen: "clear", with the "tube", with the "finding", with "both"
MAPPED = STATES[1:]  # those that show something a map could mark


class ShortcutStudy:
    """The main networks of two data sets whose patients are the same and whose test images are crossed.

    Args:
        study: of a data set in which a tube goes with the finding; profile, protocol and seed are those of both.

    Attributes:
        studies: "shortcut", the study itself, and "control", that of the card beside it.

    Raises:
        SaltrustError: where the card names no control, and where the two cards do not go together.
    """

    def __init__(self, study: Study):
        card = study.card
        if card.shortcut_control is None:
            raise SaltrustError(f"data set '{card.name}' names no 'shortcut_control', whose networks have no shortcut")
        given = study.profile.name, study.protocol.name, study.seed, study.store
        control = Study(card.shortcut_control, *given)
        self.studies = {"shortcut": study, "control": control}
        for one in (card, control.card):
            if "test" not in one.parameters.get("crossed", ()):
                raise SaltrustError(f"data set '{one.name}': its test split is not crossed, which finds shortcuts")
        if (card.networks, card.finding) != (control.card.networks, control.card.finding):
            raise SaltrustError(f"'{card.name}' and '{control.card.name}' must have the same networks and finding")

    @cached_property
    def test(self) -> Split:
        """The test images, each patient in the order of STATES.

        Raises:
            SaltrustError: where the two data sets have others.
        """
        first, second = (study.images.split("test") for study in self.studies.values())
        names = [f"'{study.card.name}'" for study in self.studies.values()]
        if not np.array_equal(first.pixels, second.pixels) or not np.array_equal(first.labels, second.labels):
            raise SaltrustError(f"{' and '.join(names)} must have the same test images: only training may differ")
        return first

    @property
    def n_patients(self) -> int:
        """Patients among the test images."""
        return len(self.studies["shortcut"].images.split("test")) // len(STATES)

    @cached_property
    def explained(self) -> tuple[int, ...]:
        """Patients whose images get maps, by number, evenly spread: as many as the profile explains images."""
        return spread(range(self.n_patients), self.studies["shortcut"].profile.explained)

    @cached_property
    def images(self) -> tuple[int, ...]:
        """Positions in the test split of the images that get maps: each explained patient in the states MAPPED."""
        return tuple(self.image(patient, seen) for patient in self.explained for seen in MAPPED)

    def image(self, patient: int, seen: str) -> int:
        """Position in the test split of a patient in one of STATES."""
        return len(STATES) * patient + STATES.index(seen)

    # --- networks and maps ----------------------------------------------------------------------------------------

    def logits(self) -> pd.DataFrame:
        """Columns training ("shortcut" or "control"), patient, and one for each of STATES: the network's logit."""
        frames = []
        for training, study in self.studies.items():
            scores = np.array(study.networks.trained().record["test_scores"]).reshape(-1, len(STATES))
            frame = pd.DataFrame(scores, columns=list(STATES))
            frame.insert(0, "patient", self._patients(range(len(scores))))
            frame.insert(0, "training", training)
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    def artefact(self, training: str, method: str) -> SaliencyMaps:
        """The name of the maps of a method by one of the two networks."""
        return self.studies[training].maps.artefact(method, images=self.images)

    def artefacts(self, methods: Sequence[str]) -> Iterator[Artefact]:
        """All that is asked for, but for scores."""
        for training, study in self.studies.items():
            yield study.images.artefact("test")
            yield study.networks.artefact(study.networks.main)
            yield from (self.artefact(training, method) for method in methods)

    def display(self, training: str, method: str, patient: int) -> dict[str, np.ndarray]:
        """The maps (h, w) in [0, 1] of one explained patient, by state."""
        shown = self.studies[training].maps.displayed(self.artefact(training, method))
        first = len(MAPPED) * self.explained.index(patient)
        return dict(zip(MAPPED, shown[first:], strict=False))

    # --- scores ---------------------------------------------------------------------------------------------------

    def auprc(self, methods: Sequence[str]) -> pd.DataFrame:
        """AUPRC of maps against the masks of the finding and of the tube.

        Args:
            methods: names in METHODS.

        Returns:
            Columns training, method, image (the patient), seen (a state), mask ("finding" or "tube"), auprc; no row for
            a mask that the image lacks.
        """
        frames = [
            self._frame(training, method, finding, study.protocol.auprc).assign(mask=mask)
            for training, study in self.studies.items()
            for method in track(methods, f"AUPRC, {training}")
            for mask, finding in self._masks.items()
        ]
        table = pd.concat(frames, ignore_index=True)
        there = (table["seen"] == "both") | (table["seen"] == table["mask"])
        return table[there].rename(columns={"score": "auprc"})

    def precedence(self, methods: Sequence[str]) -> pd.DataFrame:
        """How often a map puts a pixel of the tube above one of the finding, where an image has both.

        Args:
            methods: names in METHODS.

        Returns:
            Columns training, method, image (the patient), precedence: 0.5 for a map that prefers neither.
        """
        frames = [
            self._frame(training, method, TUBE, "precedence", self._masks["finding"])
            for training in self.studies
            for method in methods
        ]
        table = pd.concat(frames, ignore_index=True)
        return table[table["seen"] == "both"].drop(columns="seen").rename(columns={"score": "precedence"})

    @property
    def _masks(self) -> dict[str, str]:
        """What the two masks are called among the findings of a split."""
        return {"finding": self.studies["shortcut"].card.finding, "tube": TUBE}

    def _frame(self, training: str, method: str, finding: str, score: str, rival: str = "") -> pd.DataFrame:
        study = self.studies[training]
        maps = self.artefact(training, method)
        scores = study.store.get(FindingScores(maps, study.protocol.localization, finding, score, rival))
        patients = np.repeat(self._patients(self.explained), len(MAPPED))
        about = {"training": training, "method": method, "image": patients}
        return pd.DataFrame({**about, "seen": MAPPED * len(self.explained), "score": scores})

    def _patients(self, numbers: Sequence[int]) -> np.ndarray:
        """What patients are called."""
        names = self.test.ids[[self.image(number, STATES[0]) for number in numbers]]
        return clusters_of(names, self.studies["shortcut"].images.clusters)
