"""What a chapter's parameter may be: its kind, which its comment names before the colon.

    n_boot = 1000  # resamples: of the images

A kind is a function that is given the value, in the type of its default, and the values of all parameters. It raises
SaltrustError for a value that is not allowed.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from saltrust.core import data_cards
from saltrust.core.card_names import check_names
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.profiles import PROFILES
from saltrust.core.protocols import PROTOCOLS
from saltrust.core.registry import Registry

# What only one kind needs is imported there: torch alone takes seconds.

Values = Mapping[str, Any]
KINDS: Registry[Callable[[Any, Values], object]] = Registry("kind of parameter")

MANY = 100_000  # of whatever is counted: the resamples of more would not fit into memory


@KINDS.register("data set")
def data_set(value: str, values: Values) -> None:
    """The name or file of a data card, whose networks, protocols and loader exist."""
    from saltrust.datasets.loaders import loader_of

    card = data_cards.load(value)
    check_names(card)
    loader_of(card)


@KINDS.register("profile")
def profile(value: str, values: Values) -> None:
    PROFILES[value]


@KINDS.register("protocol")
def protocol(value: str, values: Values) -> None:
    PROTOCOLS[value]


@KINDS.register("protocols")
def protocols(value: str, values: Values) -> None:
    """Names, comma-separated; none of them is allowed."""
    for name in filter(None, value.split(",")):
        PROTOCOLS[name]


@KINDS.register("methods")
def methods(value: str, values: Values) -> None:
    """Names and groups of methods, comma-separated."""
    from saltrust.methods.registry import select

    select(value)


@KINDS.register("further methods")
def further_methods(value: str, values: Values) -> None:
    """Names and groups of methods whose maps are made from a network alone, comma-separated, or nothing."""
    if value:
        from saltrust.methods.registry import METHODS, select

        for name in select(value):
            if METHODS[name].is_composition:
                raise SaltrustError(f"'{name}' is made of other maps: name methods on a network alone")


@KINDS.register("method")
def method(value: str, values: Values) -> None:
    """One of the chapter's methods, or nothing."""
    if value:
        from saltrust.methods.registry import select

        one_of("method of this chapter", value, select(values["methods"]))


@KINDS.register("order")
def order(value: str, values: Values) -> None:
    """In which the stages of a network are randomised."""
    from saltrust.models.randomization import ORDERS

    ORDERS[value]


@KINDS.register("cell type")
def cell_type(value: str, values: Values) -> None:
    from saltrust.datasets.cells import TYPES

    one_of("cell type", value, TYPES)


@KINDS.register("cell types")
def cell_types(value: str, values: Values) -> None:
    """Names, comma-separated, or "all"."""
    for name in [] if value == "all" else value.split(","):
        cell_type(name.strip(), values)


@KINDS.register("backgrounds")
def backgrounds(value: str, values: Values) -> None:
    """Names, comma-separated, or "all"."""
    from saltrust.datasets.cells import BACKGROUNDS

    for name in [] if value == "all" else value.split(","):
        one_of("background", name.strip(), BACKGROUNDS)


@KINDS.register("seed")
def seed(value: int, values: Values) -> None:
    within(value, range(2**32))


@KINDS.register("count")
def count(value: int, values: Values) -> None:
    within(value, range(1, MANY + 1))


@KINDS.register("resamples")
def resamples(value: int, values: Values) -> None:
    """Of a bootstrap; fewer than 20 have no tails, whose ends an interval is."""
    within(value, range(20, MANY + 1))


@KINDS.register("branch")
def branch(value: int, values: Values) -> None:
    """One of the branches that the profile trains, from 1."""
    within(value, range(1, PROFILES[values["profile"]].branching.branches + 1))


@KINDS.register("cascaded image")
def cascaded_image(value: int, values: Values) -> None:
    """One of the images whose maps are made at every stage of a randomisation, from 0."""
    within(value, range(PROFILES[values["profile"]].cascaded or MANY))


@KINDS.register("cell side")
def cell_side(value: int, values: Values) -> None:
    """Pixels that an image of cells is wide and high."""
    from saltrust.datasets.cells import LARGEST, SMALLEST

    within(value, range(SMALLEST, LARGEST + 1))


@KINDS.register("thresholds")
def thresholds(value: float, values: Values) -> None:
    """One of the numbers by which maps are cut into bands; these and how many there are must go together."""
    from saltrust.scores.five_band import Thresholds

    Thresholds(*(values[name] for name in ("inner", "outer", "step", "n_thresholds")))


@KINDS.register("number of thresholds")
def number_of_thresholds(value: int, values: Values) -> None:
    count(value, values)
    thresholds(value, values)


def within(value: int, allowed: range) -> None:
    """Raises SaltrustError for a whole number that is not in a range."""
    if value not in allowed:
        raise SaltrustError(f"{value} is not between {allowed[0]} and {allowed[-1]}")


def one_of(what: str, name: str, known: Collection[str]) -> None:
    """Raises SaltrustError for a name that is not known, with the nearest one. what: a noun ("cell type")."""
    if name not in known:
        raise unknown_name(what, name, known)
