import pytest

from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.registry import Registry


def test_things_are_found_by_name_and_misses_suggest_the_nearest():
    shapes = Registry("shape")
    assert shapes.register("disc")(3) == 3
    shapes.register("square")(4)
    assert shapes["disc"] == 3
    with pytest.raises(SaltrustError, match=r"unknown shape 'disk'; did you mean 'disc'\? known: disc, square"):
        shapes["disk"]


def test_a_name_is_given_once():
    shapes = Registry("shape")
    shapes.register("disc")(1)
    with pytest.raises(ValueError, match="'disc' is registered twice"):
        shapes.register("disc")(2)


def test_a_far_name_gets_no_suggestion():
    assert str(unknown_name("shape", "zzz", [])) == "unknown shape 'zzz'; known: none"
