"""What determines a phantom data set, apart from its seed and its size."""

from collections.abc import Sequence
from dataclasses import dataclass

from saltrust.core.card_parts import SPLITS
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.datasets.generated import parameters


@dataclass(frozen=True)
class Films:
    """What all phantoms choose, whatever part of the body. Raises SaltrustError for a value outside its range.

    Two parameters set the difficulty: `severity`, from which each finding draws its own severity uniformly (it sets
    both the extent and the conspicuity of the finding), and `noise`. `mimic` adds look-alikes whatever the label.
    """

    severity: tuple[float, float] = (0.05, 1.0)  # 0: at the limit of visibility, 1: extensive
    noise: float = 1.0  # relative to a usual exposure; standard deviation, 0 switches quantum noise off
    scatter: float = 0.35  # scattered fraction of the exposure that reaches the film
    variation: float = 1.0  # spread of body size, rotation, inspiration and exposure; 0: the same pose for everybody
    framing: float = 0.0  # share of the film's width that may stay free; the patient then stands anywhere on the film
    mimic: float = 0.6  # probability of a look-alike of a finding, whatever the label
    marker: float = 0.7  # probability of a side letter

    def __post_init__(self) -> None:
        for name in ("mimic", "marker"):
            self._within(name, getattr(self, name), 0, 1)
        self._within("scatter", self.scatter, 0, 0.9)
        self._within("noise", self.noise, 0, 10)
        self._within("variation", self.variation, 0, 1.5)
        self._within("framing", self.framing, 0, 0.4)  # beyond, the arms end on the film
        if len(self.severity) != 2 or not 0 <= self.severity[0] <= self.severity[1] <= 1:
            raise SaltrustError(f"phantom: severity must be (low, high), 0 <= low <= high <= 1, not {self.severity}")

    def _within(self, name: str, value: float, low: float, high: float) -> None:
        if not low <= value <= high:
            raise SaltrustError(f"phantom: {name} must lie between {low} and {high}, not {value}")


@dataclass(frozen=True)
class Population(Films):
    """What all phantoms of the chest choose. Raises SaltrustError for a value outside its range."""

    tube_density: float = 1.0  # multiplies the optical density of the tube, not its width
    leads: float = 0.35  # probability of ECG electrodes and wires

    def __post_init__(self) -> None:
        super().__post_init__()
        self._within("leads", self.leads, 0, 1)
        self._within("tube_density", self.tube_density, 0, 4)

    def _splits(self, names: Sequence[str]) -> None:
        for split in names:
            if split not in SPLITS:
                raise unknown_name("split", split, SPLITS)


@dataclass(frozen=True)
class PhantomParameters(Population):
    """The choices of a population with one finding. Raises SaltrustError for a value outside its range."""

    finding: str = "pneumothorax"  # a name in FINDINGS
    prevalence: float = 0.22  # fraction of images with the finding
    conspicuity: float = 1.0  # multiplies the contrast of the finding, not its extent
    tube_given_finding: float = 0.15  # probability of a chest tube in an image with the finding
    tube_given_clear: float = 0.15  # … and in one without; unequal values make the tube a shortcut
    crossed: tuple[str, ...] = ()  # splits that show each patient four times: with and without finding and tube

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("prevalence", "tube_given_finding", "tube_given_clear"):
            self._within(name, getattr(self, name), 0, 1)
        self._within("conspicuity", self.conspicuity, 0, 4)
        self._splits(self.crossed)

    @classmethod
    def of(cls, **values) -> "PhantomParameters":
        """Parameters from a data card's mapping. Raises SaltrustError as `generated.parameters`."""
        return parameters(cls, values, "phantom")
