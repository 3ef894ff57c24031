"""Phantom chest radiographs with several independent findings at once, each with its exact pixels.

The healthy patients are those of the phantom with one finding; five findings are drawn into the same chest, one after
the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri

from saltrust.core.errors import SaltrustError
from saltrust.core.labelled_images import Findings, Split, packed
from saltrust.core.progress import track
from saltrust.datasets.generated import parameters
from saltrust.datasets.phantom import keys
from saltrust.datasets.phantom.anatomy import geometry, patient
from saltrust.datasets.phantom.confounders import MIMICS_OF, SIDES, confounded
from saltrust.datasets.phantom.drawing import film
from saltrust.datasets.phantom.findings import FINDINGS
from saltrust.datasets.phantom.imaging import expose
from saltrust.datasets.phantom.parameters import Population

DRAWN_AS = {
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "cardiomegaly",
    "Consolidation": "consolidation",
    "Edema": "edema",
    "Pleural Effusion": "effusion",
}
"""CheXpert's names of the five findings, in its order, and what draws each."""

NAMES = tuple(DRAWN_AS)

# From the heart outwards: what is drawn later lies on what was drawn before, and fluid at the base covers all of it.
CHAIN = tuple(
    NAMES.index(name) for name in ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")
)

# A look-alike that is itself one of the findings would contradict the label of the film on which it lies.
LOOK_ALIKES = tuple(sorted({name for one in DRAWN_AS.values() for name in MIMICS_OF[one]} - set(DRAWN_AS.values())))

RAREST = 0.01  # share of films with a finding below which none is drawn until one has a finding

Five = tuple[float, float, float, float, float]  # a number for each of NAMES


@dataclass(frozen=True)
class SeveralParameters(Population):
    """The choices of a population with five findings. Raises SaltrustError for a value outside its range.

    A finding is present where a normal latent variable of its own exceeds its quantile. The latent variables of a
    patient share a common part, so that who has one finding more often has another, and each finding stays as frequent
    as `prevalences` says. In the splits of `at_least_one` films are drawn until one has a finding: there each finding
    is more frequent, by 1 / (the share of films with any).
    """

    prevalences: Five = (0.35, 0.30, 0.10, 0.30, 0.40)  # fractions of films with each finding, before any is left out
    conspicuity: Five = (1.0, 1.0, 1.0, 1.0, 1.0)  # multiplies the contrast of each finding
    together: float = 0.3  # correlation of the latent variables: 0 independent, 1 the rarer only with the more frequent
    at_least_one: tuple[str, ...] = ()  # splits in which every film shows a finding
    label_noise: float = 0.0  # probability that a label of a training film is wrong, as labels from reports are
    tube: float = 0.15  # probability of a chest tube, whatever the findings

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, high in (("prevalences", 1), ("conspicuity", 4)):
            values = getattr(self, name)
            if len(values) != len(NAMES):
                raise SaltrustError(
                    f"phantom: {name} needs {len(NAMES)} numbers, for {', '.join(NAMES)}, not {len(values)}"
                )
            for finding, value in zip(NAMES, values, strict=True):
                self._within(f"{name} of {finding}", value, 0, high)
        for name in ("together", "label_noise", "tube"):
            self._within(name, getattr(self, name), 0, 1)
        self._splits(self.at_least_one)
        if self.at_least_one and self.share_with_any() < RAREST:
            raise SaltrustError(
                f"phantom: at_least_one needs prevalences that give {RAREST:.0%} of films a finding or more, "
                f"not {self.share_with_any():.2%}"
            )

    @classmethod
    def of(cls, **values) -> "SeveralParameters":
        """Parameters from a data card's mapping. Raises SaltrustError as `generated.parameters`."""
        return parameters(cls, values, "phantom")

    @property
    def quantiles(self) -> np.ndarray:
        """What the latent variable of each finding must exceed; infinite for one that nobody, or everybody, has."""
        return -ndtri(np.asarray(self.prevalences, float))

    def share_with_any(self) -> float:
        """The fraction of films with one finding or more, where none is left out.

        >>> round(SeveralParameters(prevalences=(0.5, 0.5, 0, 0, 0), together=0).share_with_any(), 6)
        0.75
        """
        if self.together == 1:
            return float(max(self.prevalences))
        common = np.linspace(-9, 9, 18_001)[:, None]  # beyond, a normal variable has no weight; a fine grid is exact
        own = (self.quantiles - np.sqrt(self.together) * common) / np.sqrt(1 - self.together)
        weights = np.exp(-0.5 * common[:, 0] ** 2)
        return float(1 - (weights * ndtr(own).prod(axis=1)).sum() / weights.sum())

    def expected(self, split: str, count: int) -> int:
        """How many of that many films of a split have a finding: all, or the whole number next to the expectation."""
        return count if split in self.at_least_one else round(count * self.share_with_any())


@dataclass(frozen=True)
class SeveralRadiograph:
    """One film and what is known about it.

    Attributes:
        pixels: (size, size) uint8.
        masks: (5, size, size) bool, exactly the pixels of each finding in the order of NAMES; where two overlap, both.
        attributes: tube, leads, marker, mimic as in `Radiograph`, and by the name of each finding that is there its
            side, severity, and what it adds.
    """

    pixels: np.ndarray
    masks: np.ndarray
    attributes: dict[str, object]


def present(key: Sequence[int], parameters: SeveralParameters, at_least_one: bool = False) -> np.ndarray:
    """Which findings the film of a key has.

    Args:
        key: as for `radiograph`.
        parameters: the population.
        at_least_one: whether to draw again until there is one. A film with a finding is the same either way.

    Returns:
        (5,) bool, in the order of NAMES.
    """
    rng = keys.random(key, keys.PRESENT)
    shared, own = np.sqrt(parameters.together), np.sqrt(1 - parameters.together)
    while True:
        common, *others = rng.standard_normal(1 + len(NAMES))
        found = shared * common + own * np.array(others) > parameters.quantiles
        if found.any() or not at_least_one:
            return found


def reported(key: Sequence[int], parameters: SeveralParameters, truth: np.ndarray) -> np.ndarray:
    """The labels (5,) bool that a report would give a training film with those findings: each wrong by chance."""
    return truth ^ (keys.random(key, keys.REPORTED).random(len(NAMES)) < parameters.label_noise)


def radiograph(
    key: Sequence[int], size: int, parameters: SeveralParameters, findings: Sequence[bool]
) -> SeveralRadiograph:
    """Draw one radiograph.

    The same key is the same patient, pose, devices and grain whatever the findings. Each finding has random numbers of
    its own: films with and without one of them differ only where it lies, as far as the blur reaches. An enlarged heart
    also takes its place from the masks of the others.

    Args:
        key: non-negative integers, such as (seed, split, index).
        size: side in pixels, 32 to 2048.
        parameters: the population.
        findings: which of NAMES it has, in their order.

    Returns:
        The radiograph, its truth and what else is known of it.

    Raises:
        SaltrustError: For a bad key, size or number of findings.

    >>> radiograph((0, 0, 7), 64, SeveralParameters(), [True, False, False, False, True]).masks.any(axis=(1, 2))
    array([ True, False, False, False,  True])
    """
    keys.check(key, size)
    if len(findings) != len(NAMES):
        raise SaltrustError(f"phantom: a film has or has not each of {len(NAMES)} findings, not of {len(findings)}")
    g = geometry(patient(keys.random(key, keys.PATIENT), parameters.variation, parameters.framing), film(size))
    healthy, _, known = confounded(g, key, parameters, LOOK_ALIKES, parameters.tube)
    attributes: dict[str, object] = {name: known[name] for name in ("tube", "leads", "marker", "mimic")}
    seen, masks = healthy, np.zeros((len(NAMES), size, size), bool)
    for position in CHAIN:
        if not findings[position]:
            continue
        name = NAMES[position]
        rng = keys.random(key, keys.SEVERAL + position)
        side, severity = int(rng.integers(2)), rng.uniform(*parameters.severity)
        found = FINDINGS[DRAWN_AS[name]](seen, g, rng, side, severity, parameters.conspicuity[position])
        seen, masks[position] = found.chest, np.any(found.lesions, axis=0)
        attributes[name] = {"side": SIDES[side], "severity": round(severity, 4), **found.attributes}
        if name == "Cardiomegaly":  # lung behind the larger heart is no longer seen
            inside = np.maximum(g.heart, np.float32(1e-3))
            g = replace(g, heart=np.where(masks[position], inside, g.heart))
    return SeveralRadiograph(expose(seen, healthy, g, parameters, keys.random(key, keys.GRAIN)), masks, attributes)


def load(parameters: SeveralParameters, split: str, count: int, size: int, seed: int) -> Split:
    """Radiographs of one split. Splits and seeds share no patient; a film does not depend on how many there are.

    Args:
        parameters: the population.
        split: "train", "val" or "test".
        count: how many.
        size: side in pixels.
        seed: 0 or more.

    Returns:
        The split. Its labels and truth are of any finding that is drawn. Which of its findings are present is what the
        reports say, wrong now and then in training; their masks are always what is drawn.

    Raises:
        SaltrustError: For an unknown split, or a bad count, size or seed.
    """
    of_split = keys.of_split(split, count, seed)
    keys.check(of_split, size)
    pixels = np.empty((count, size, size), np.uint8)
    truth = np.empty((count, size, size), bool)
    drawn, labels = np.empty((2, count, len(NAMES)), bool)
    bits = []
    for index in track(range(count), f"drawing five findings {split}", count):
        key = (*of_split, index)
        drawn[index] = present(key, parameters, split in parameters.at_least_one)
        labels[index] = reported(key, parameters, drawn[index]) if split == "train" else drawn[index]
        image = radiograph(key, size, parameters, drawn[index])
        pixels[index], truth[index] = image.pixels, image.masks.any(axis=0)
        bits.append(packed(image.masks))  # one by one: unpacked, those of all films take five times their truth
    return Split(
        pixels=pixels,
        labels=drawn.any(axis=1).astype(np.int64),
        truth=truth,
        boxes=np.zeros((0, 5), np.float32),
        ids=np.array([f"{split}-{index:05d}" for index in range(count)]),
        findings=Findings(NAMES, labels, np.stack(bits, axis=1), size),
    )
