"""Parameters of generated data are of the type that their dataclass names, and stay as they are written."""

from dataclasses import dataclass

import pytest

from saltrust.core.errors import SaltrustError
from saltrust.datasets.generated import parameters


@dataclass(frozen=True)
class Drawn:
    share: float = 0.5
    count: int = 1
    sides: tuple[float, float] = (1, 2)
    colours: tuple[tuple[float, float], ...] = ()


def test_lists_become_tuples_and_numbers_stay_as_they_are():
    found = parameters(Drawn, {"share": 1, "sides": [1, 2.5], "colours": [[0, 1]]}, "thing")
    assert found == Drawn(1, 1, (1, 2.5), ((0, 1),))
    assert isinstance(found.share, int)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"share": "0.5"}, "thing: share: Input should be a valid number, not '0.5'"),
        ({"share": True}, "thing: share: "),
        ({"count": 1.0}, "thing: count: "),
        ({"sides": [1]}, "thing: sides"),
        ({"sides": {"a": 1}}, "thing: sides"),
        ({"shares": 1}, "unknown thing parameter 'shares'; did you mean 'share'"),
    ],
)
def test_another_type_is_refused(values, says):
    with pytest.raises(SaltrustError, match=says):
        parameters(Drawn, values, "thing")
