"""How long an artefact will take, from how long earlier ones took: the median of those most like it.

Artefacts are compared by what their sidecars say of them. Each kind has a ladder, from those that are alike in all that
matters for the time to those that are of the same kind only; at each rung time is proportional to what can be counted,
such as images, steps and pixels. The first rung on which something was ever timed gives the estimate.
"""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

from saltrust.artefacts.store import SIDECAR, environment
from saltrust.core.registry import Registry
from saltrust.methods.registry import METHODS

Description = Mapping[str, Any]
Ladder = list[tuple[tuple, float]]
"""(what earlier artefacts must share, by how much the time grows) of each rung, the nearest first."""

Known = Mapping[str, Description]
"""What artefacts are, by "<kind>/<digest>"."""

LADDERS: Registry[Callable[[Description, Known], Ladder]] = Registry("kind of artefact")
"""By kind; each raises KeyError where not enough is known of what an artefact was made from."""


@dataclass(frozen=True)
class Timed:
    """An artefact that was computed. here: whether on a machine like this one."""

    name: str
    description: Description
    seconds: float
    here: bool


@dataclass(frozen=True)
class Estimate:
    """seconds: that an artefact will take. earlier: names of those that this rests on. rung: how unlike they are, from
    0; here: whether they were made on a machine like this one."""

    seconds: float
    earlier: frozenset[str]
    rung: int
    here: bool


def timed(root: Path) -> list[Timed]:
    """Every artefact of a store whose sidecar can be read."""
    own = environment()
    found = []
    for kind, digest in _names(root):
        try:
            with open(f"{root}/{kind}/{digest}/{SIDECAR}", "rb") as file:
                note = json.loads(file.read())
            here = all(note["environment"][what] == own[what] for what in ("machine", "device"))
            found.append(Timed(f"{kind}/{digest}", dict(note["spec"]), float(note["seconds"]), here))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def _names(root: Path) -> Iterator[tuple[str, str]]:
    for folder in root.glob("[!.]*/"):
        yield from ((folder.name, digest) for digest in os.listdir(folder) if not digest.startswith("."))


class Durations:
    """The times of earlier artefacts, by what they share. descriptions: of all artefacts, also those to come."""

    def __init__(self, earlier: Iterable[Timed], descriptions: Mapping[str, Description]):
        earlier = list(earlier)
        self.known = {one.name: one.description for one in earlier} | dict(descriptions)
        self._rates: dict[tuple, dict[str, float]] = defaultdict(dict)
        for one in earlier:
            with suppress(Exception):  # of a version of the code that described it otherwise
                for rung, (key, units) in enumerate(self.ladder(one.description)):
                    self._rates[one.here, one.description["kind"], rung, key][one.name] = one.seconds / units

    def ladder(self, description: Description) -> Ladder:
        """Raises KeyError where not enough is known of what the artefact is made from."""
        return LADDERS[description["kind"]](description, self.known)

    def estimate(self, description: Description) -> Estimate | None:
        """How long an artefact will take, None where nothing of its kind was ever timed. Of two machines that have made
        what is equally like it, this one tells."""
        try:
            ladder = self.ladder(description)
        except KeyError:
            return None
        for rung, (key, units) in enumerate(ladder):
            for here in (True, False):
                if rates := self._rates.get((here, description["kind"], rung, key)):
                    return Estimate(median(rates.values()) * units, frozenset(rates), rung, here)
        return None


# --- what the time of each kind depends on ----------------------------------------------------------------------------


def _pixels(known: Known, data: str) -> int:
    """Pixels of each image of a split."""
    return known[data]["size"] ** 2


@LADDERS.register("data")
def _data(d: Description, known: Known) -> Ladder:
    card, n, pixels = d["card"], d["count"], d["size"] ** 2
    files = d["fingerprint"], card.get("finding")
    return [((*files, pixels, n), 1), ((*files, pixels), n), ((card["loader"],), n * pixels), ((), n * pixels)]


def _trained(d: Description, known: Known, plan: Description, network: str) -> Ladder:
    """Images that pass through the network, where it does not stop early."""
    steps = plan["steps_per_epoch"] or ceil(known[d["train"]]["count"] / plan["batch_size"])
    images, pixels = plan["epochs"] * steps * plan["batch_size"], _pixels(known, d["train"])
    alike = network, pixels
    return [((*alike, images), 1), (alike, images), ((network,), images * pixels), ((), images * pixels)]


@LADDERS.register("classifier")
def _classifier(d: Description, known: Known) -> Ladder:
    return _trained(d, known, d["plan"], d["architecture"])


@LADDERS.register("localizer")
def _localizer(d: Description, known: Known) -> Ladder:
    return _trained(d, known, d["plan"], d["localizer"])


@LADDERS.register("base")
def _base(d: Description, known: Known) -> Ladder:
    return _trained(d, known, d["plan"]["base"], d["architecture"])


@LADDERS.register("branch")
def _branch(d: Description, known: Known) -> Ladder:
    return _trained(d, known, d["plan"]["branch"], known[d["base"]]["architecture"])


def _scaled(n: float, pixels: int, *alike: Any) -> Ladder:
    """n images: as many of the same, any number of them, those of other sizes; anything of the kind."""
    return [((*alike, pixels, n), 1), ((*alike, pixels), n), (alike, n * pixels), ((), n * pixels)]


@LADDERS.register("maps")
def _maps(d: Description, known: Known) -> Ladder:
    method, n, pixels = d["method"], len(d["images"]), _pixels(known, d["data"])
    given = json.dumps(d["parameters"], sort_keys=True)
    passes, composed = _passes(method, given)
    network = "" if composed else _network(known[d["model"]], known)  # the parts are artefacts of their own
    return [
        ((method, network, pixels, given, n), 1),
        ((method, network, pixels, given), n),
        ((method, network, pixels), n * passes),
        ((method, network), n * passes * pixels),
        ((method,), n * passes * pixels),
        ((composed,), n * passes * pixels),
    ]


@cache
def _passes(method: str, given: str) -> tuple[int, bool]:
    """Passes through the network for each image, at least 1; whether the method is a composition."""
    if method not in METHODS:  # of another version of the code
        raise KeyError(method)
    found = METHODS[method]
    parameters = {name: value for name, value in json.loads(given).items() if name in found.defaults}
    return max(found.passes(parameters), 1), found.is_composition


def _network(model: Description, known: Known) -> str:
    if "base" in model:
        model = known[model["base"]]
    return model.get("architecture") or json.dumps(model["model"], sort_keys=True)


def _of_maps(name: str, known: Known) -> tuple[int, int]:
    """How many maps there are, and the pixels of each."""
    maps = known[name]
    return len(maps["images"]), _pixels(known, maps["data"])


@LADDERS.register("utility")
def _utility(d: Description, known: Known) -> Ladder:
    return _scaled(*_of_maps(d["maps"], known), d["score"])


@LADDERS.register("five_band")
def _five_band(d: Description, known: Known) -> Ladder:
    n, pixels = _of_maps(d["maps"], known)
    return _scaled(n * d["thresholds"]["count"], pixels)


def _similarity(d: Description, known: Known) -> Ladder:
    _, pixels = _of_maps(d["first"], known)
    likeness = d.get("score"), json.dumps(d.get("settings"), sort_keys=True)
    return _scaled(len(d["pairs"]) * d.get("count", 1), pixels, *likeness)


LADDERS.register("similarity")(_similarity)
LADDERS.register("null")(_similarity)


@LADDERS.register("scores")
def _scores(d: Description, known: Known) -> Ladder:
    """The parts are no artefacts of their own, so that no more is known of those of earlier ones than their kinds."""
    kinds = [part.partition("/")[0] for part in d["parts"]]
    return [((tuple(sorted(kinds)),), 1), ((tuple(sorted(set(kinds))),), len(kinds)), ((), len(kinds))]


@LADDERS.register("segments")
def _segments(d: Description, known: Known) -> Ladder:
    return _scaled(len(d["images"]), _pixels(known, d["data"]))


@LADDERS.register("heat")
def _heat(d: Description, known: Known) -> Ladder:
    return _scaled(len(d["images"]), _pixels(known, d["data"]), known[d["model"]]["localizer"])


@LADDERS.register("average")
def _average(d: Description, known: Known) -> Ladder:
    return _scaled(1, _pixels(known, d["data"]))


@LADDERS.register("weights")
def _weights(d: Description, known: Known) -> Ladder:
    return [((), 1)]


@LADDERS.register("own")
def _own(d: Description, known: Known) -> Ladder:
    test = known[d["test"]]
    return _scaled(test["count"], _pixels(known, d["test"]), str(d["model"]))
