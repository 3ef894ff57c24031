"""What determines the drawn limbs and their readers, apart from the seed and the size."""

from dataclasses import dataclass

from saltrust.core.errors import SaltrustError
from saltrust.datasets.generated import parameters
from saltrust.datasets.phantom.parameters import Films

SUBGROUPS = ("fracture", "plate", "arthritis", "mass")
READERS = ("reader1", "reader2", "reader3")

Four = tuple[float, float, float, float]  # a number for each of SUBGROUPS
Three = tuple[float, float, float]  # a number for each of READERS


@dataclass(frozen=True)
class BonesParameters(Films):
    """The choices of a population of limbs, and of those who read them. Raises SaltrustError for a value outside its
    range.

    What a reader does is drawn by lot for each film. A film is hard for all of them with probability `doubt`, times
    2 (1 - severity): more often where the finding is slight. All else is independent of the other readers. One
    overlooks the finding with probability `miss`; with probability `astray`, and on a hard film, he marks another bone
    or joint instead. If neither, he marks each lesion with probability `thorough`, and one at least; he draws a lesion
    in two boxes with probability `split`, and several in one with probability `merge`. A box is larger than the lesion
    by `margin` on each side, and by the factor `grown` then; its sides vary by `spread` and its centre by `shift`.
    `vagueness` of what is marked multiplies `astray`, `spread` and `shift`.
    """

    scatter: float = 0.12  # little, of so thin a part of the body
    conspicuity: Four = (1.0, 1.0, 1.0, 1.0)  # multiplies the contrast of each finding
    shares: Four = (0.34, 0.28, 0.34, 0.04)  # of the abnormal patients, with each finding
    young: float = 0.25  # probability of open growth plates
    cast: float = 0.12  # probability of a cast, whatever the label
    doubt: Four = (0.07, 0.0, 0.14, 0.1)
    miss: Three = (0.01, 0.19, 0.0)
    astray: Three = (0.06, 0.06, 0.06)
    thorough: Three = (0.95, 0.6, 0.6)
    split: Three = (0.5, 0.1, 0.1)
    merge: Three = (0.1, 0.4, 0.4)
    grown: Three = (1.0, 1.2, 1.1)
    spread: Three = (0.2, 0.25, 0.2)  # standard deviation of the logarithm of a side
    shift: Three = (0.1, 0.15, 0.1)  # standard deviation of the centre, in sides
    margin: float = 0.01  # film widths
    vagueness: Four = (1.0, 0.8, 2.0, 1.3)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, length, high in RANGES:
            values = getattr(self, name)
            if len(values) != len(length):
                raise SaltrustError(
                    f"phantom: {name} needs {len(length)} numbers, for {', '.join(length)}, not {len(values)}"
                )
            for which, value in zip(length, values, strict=True):
                self._within(f"{name} of {which}", value, 0, high)
        if abs(sum(self.shares) - 1) > 1e-6:
            raise SaltrustError(f"phantom: shares must add up to 1, not {sum(self.shares):g}")
        for name in ("young", "cast"):
            self._within(name, getattr(self, name), 0, 1)
        self._within("margin", self.margin, 0, 0.2)

    @classmethod
    def of(cls, **values) -> "BonesParameters":
        """Parameters from a data card's mapping. Raises SaltrustError as `generated.parameters`."""
        return parameters(cls, values, "phantom")


RANGES = (
    ("conspicuity", SUBGROUPS, 4),
    ("shares", SUBGROUPS, 1),
    ("doubt", SUBGROUPS, 0.5),
    ("miss", READERS, 0.9),
    ("astray", READERS, 0.25),
    ("thorough", READERS, 1),
    ("split", READERS, 1),
    ("merge", READERS, 1),
    ("grown", READERS, 4),
    ("spread", READERS, 1),
    ("shift", READERS, 1),
    ("vagueness", SUBGROUPS, 4),
)
"""Of each list of numbers: what it has a number for, and the largest that is allowed."""
