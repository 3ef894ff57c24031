"""What determines the drawn limbs and their readers, apart from the seed and the size."""

from dataclasses import dataclass

from saltrust.core.errors import SaltrustError
from saltrust.datasets.generated import parameters
from saltrust.datasets.phantom.parameters import Films
from saltrust.datasets.simulated_readers import ReaderParameters, check_each

SUBGROUPS = ("fracture", "plate", "arthritis", "mass")

Four = tuple[float, float, float, float]  # a number for each of SUBGROUPS


@dataclass(frozen=True)
class BonesParameters(Films, ReaderParameters):
    """The choices of a population of limbs, and of those who read them. Raises SaltrustError for a value outside its
    range.

    A film is hard for all readers with probability `doubt`, times 2 (1 - severity): more often where the finding is
    slight. `vagueness` of what is marked multiplies their `astray`, `spread` and `shift`.
    """

    scatter: float = 0.12  # little, of so thin a part of the body
    conspicuity: Four = (1.0, 1.0, 1.0, 1.0)  # multiplies the contrast of each finding
    shares: Four = (0.34, 0.28, 0.34, 0.04)  # of the abnormal patients, with each finding
    young: float = 0.25  # probability of open growth plates
    cast: float = 0.12  # probability of a cast, whatever the label
    doubt: Four = (0.07, 0.0, 0.14, 0.1)
    vagueness: Four = (1.0, 0.8, 2.0, 1.3)

    def __post_init__(self) -> None:
        Films.__post_init__(self)
        ReaderParameters.__post_init__(self)
        for name, high in HIGHEST.items():
            check_each(f"phantom: {name}", getattr(self, name), SUBGROUPS, high)
        if abs(sum(self.shares) - 1) > 1e-6:
            raise SaltrustError(f"phantom: shares must add up to 1, not {sum(self.shares):g}")
        for name in ("young", "cast"):
            self._within(name, getattr(self, name), 0, 1)

    @classmethod
    def of(cls, **values) -> "BonesParameters":
        """Parameters from a data card's mapping. Raises SaltrustError as `generated.parameters`."""
        return parameters(cls, values, "phantom")


HIGHEST = {"conspicuity": 4, "shares": 1, "doubt": 0.5, "vagueness": 4}
"""The largest that is allowed of each list of numbers."""
