"""Every method on a few images: the variants of two of them, and how well Integrated Gradients add up."""

from collections.abc import Iterator, Sequence

from saltrust.artefacts import Artefact
from saltrust.study.study import Study

VARIANTS = {
    "IG black": ("ig", {"baseline": "black"}),
    "IG white": ("ig", {"baseline": "white"}),
    "IG both": ("ig", {"baseline": "black+white"}),
    "IG blur": ("ig", {"baseline": "blur"}),
    "SG mean": ("smoothgrad", {"power": 1}),
    "SG squares": ("smoothgrad", {"power": 2}),
}
"""(method, parameters) by label."""

RULES = {
    "riemann_middle": "middle of equal steps",
    "riemann": "equal points, both ends",
    "gauss_legendre": "Gauss-Legendre",
}
"""How the points on the path of Integrated Gradients are placed, in words."""


def path_steps(study: Study) -> list[int]:
    """The numbers of points at which completeness is tried."""
    return [study.profile.steps * factor for factor in (1, 2, 4)]


def maps_of(study: Study, methods: Sequence[str], n_shown: int, n_paths: int) -> Iterator[Artefact]:
    """The maps of the chapter.

    Args:
        study: the study.
        methods: their names.
        n_shown: images that every method explains.
        n_paths: images on which completeness is tried.
    """
    shown, paths = study.explained[:n_shown], study.explained[:n_paths]
    yield study.spec("grad", images=shown[:1])
    yield from (study.spec(method, images=shown) for method in methods)
    yield from (study.spec(method, images=shown, parameters=given) for method, given in VARIANTS.values())
    for rule in RULES:
        for steps in path_steps(study):
            yield study.spec("ig", images=paths, parameters={"steps": steps, "quadrature": rule})
