"""The registry of saliency methods: what each is called, who proposed it, what it costs and what it is made of."""

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from saltrust.core.errors import unknown_name
from saltrust.core.registry import Registry

Parameters = Mapping[str, Any]
Parts = dict[str, tuple[str, dict[str, Any]]]
POWERS = (1, 2)  # of what noisy copies give, of which the mean is taken

# In the order of the book, which has a page for each.
FAMILIES: Registry[str] = Registry("family of methods")
FAMILIES.register("gradient")("Gradients")
FAMILIES.register("modified_backward")("Modified backward passes")
FAMILIES.register("cam")("Class activation maps")
FAMILIES.register("perturbation")("Regions and perturbation")
FAMILIES.register("control")("Controls")


@dataclass(frozen=True, kw_only=True)
class Method:
    """A saliency method.

    A method on a model has the function `f(model, images, keys, **parameters)`. model is an Explained; images is a
    float tensor (n, channels, height, width) in the model's input range; keys holds one tuple of non-negative integers
    for each image, which its noise depends on. It returns a tensor (n, c, height, width): raw, signed, not
    post-processed.

    A composition has the function `f(images, keys, parts, **parameters)`. images is uint8 (n, height, width[, 3]);
    parts holds the arrays that `parts(parameters)` asks for, each (n, c, height, width), and, for a method with
    `segments`, parts["segments"]: n stacks (k, height, width) of boolean masks. It returns an array (n, c, height,
    width). Controls are compositions of nothing but the image.

    Attributes:
        name: in the registry.
        abbreviation: as in the figures ("GRAD").
        title: as in prose.
        family: a name in FAMILIES.
        cite: BibTeX key, "" for a control of ours.
        formula: LaTeX, without the dollars.
        needs: what a network must offer, beyond a differentiable output.
        signed: whether a negative value is evidence against the explained output, as opposed to a low rank or a value
            that cannot occur.
        backward: whether each pass also runs backward.
        function: what computes the maps.
        cost: complete parameters -> passes through the model for each image, without those of parts.
        total: for a method whose map adds up to a known number, `total(model, images, **parameters)` gives it (n,), in
            units of the explained scalar; images as accepted by the model.
        odd: whether the map of minus the explained scalar is minus its map, bit for bit.
        powers: of a method with a parameter `power`, called as `function` but without it: maps for each of POWERS
            (2, n, c, height, width), from the passes that one of them takes.
        several: of a method whose maps of several outputs share a forward pass, called as `function` with the numbers
            of the outputs, `targets`: their maps (targets, n, c, height, width).
        components: of a composition, complete parameters -> its parts.
        segments: whether a composition also takes the regions of its images, as parts["segments"].
        from_protocol: (protocol, profile) -> the parameters that the protocols decide, cut to the profile's size. Their
            classes are not imported here, or every map would hang on the code of the protocols.

    >>> import saltrust.methods  # fills the registry
    >>> METHODS["ig"].passes({"steps": 10, "baseline": "black+white"})
    20
    """

    name: str
    abbreviation: str
    title: str
    family: str
    cite: str
    formula: str
    function: Callable
    cost: Callable[[Parameters], int]
    needs: str = ""
    signed: bool = True
    library: str = ""
    backward: bool = True
    total: Callable | None = None
    odd: bool = False
    powers: Callable | None = None
    several: Callable | None = None
    components: Callable[[Parameters], Parts] | None = None
    segments: bool = False
    from_protocol: Callable[[Any, Any], dict[str, Any]] = lambda protocol, profile: {}

    @property
    def is_composition(self) -> bool:
        """Whether the method is computed from the image and the maps of other methods, without a model."""
        return self.components is not None

    @property
    def defaults(self) -> dict[str, Any]:
        """The method's parameters and their default values."""
        return dict(self._defaults)

    @cached_property
    def _defaults(self) -> dict[str, Any]:
        accepted = inspect.signature(self.function).parameters.values()
        return {p.name: p.default for p in accepted if p.kind is p.KEYWORD_ONLY}

    @property
    def help(self) -> dict[str, str]:
        """What each parameter means, with its unit: the note in its type annotation."""
        hints = typing.get_type_hints(self.function, include_extras=True)
        return {name: hints[name].__metadata__[0] for name in self.defaults}

    def complete(self, parameters: Parameters) -> dict[str, Any]:
        """All parameters of the method: those given, and the defaults of the others.

        Args:
            parameters: name -> value.

        Returns:
            Name -> value of every parameter.

        Raises:
            SaltrustError: the method does not have a parameter of that name.
        """
        defaults = self.defaults
        for name in parameters:
            if name not in defaults:
                raise unknown_name(f"parameter of method '{self.name}'", name, defaults)
        return defaults | dict(parameters)

    def passes(self, parameters: Parameters | None = None) -> int:
        """Passes through the model for each image, those of a composition's parts included.

        Each runs forward and, where `backward`, backward.

        Args:
            parameters: name -> value; what is not given has its default.

        Returns:
            A number, 0 where there is no model or where the number depends on the network.
        """
        complete = self.complete(parameters or {})
        return self.cost(complete) + sum(METHODS[name].passes(given) for name, given in self.parts(complete).values())

    @cached_property
    def takes_layer(self) -> bool:
        """Whether the method, or a part of it, uses the layer that is chosen for class activation maps."""
        return "layer" in self.defaults or any(METHODS[name].takes_layer for name, _ in self.parts().values())

    def parts(self, parameters: Parameters | None = None) -> Parts:
        """What a composition is made of: name of the part -> (method, its parameters). Empty for other methods.

        Args:
            parameters: name -> value; what is not given has its default.
        """
        return self.components(self.complete(parameters or {})) if self.components else {}


METHODS: Registry[Method] = Registry("method")


# The methods of Arun et al., in the order of their tables.
PAPER_EIGHT = (
    "grad",
    "smoothgrad",
    "ig",
    "smooth_ig",
    "gradcam",
    "xrai",
    "guided_backprop",
    "guided_gradcam",
)

# Those of Venkatesh et al. are the first six of them.
VENKATESH_SIX = PAPER_EIGHT[:6]

# What stands beside the maps in every table: an edge detector, a prior of place, texture without content, nothing.
CONTROLS = ("sobel", "centre", "random_field", "constant")


def by_family() -> list[Method]:
    """All methods of our own, in the order of FAMILIES."""
    own = [method for method in METHODS.values() if not method.library]
    return [method for family in FAMILIES for method in own if method.family == family]


def by_library() -> dict[str, list[Method]]:
    """The methods of other libraries, by the library's name."""
    found: dict[str, list[Method]] = {}
    for method in METHODS.values():
        if method.library:
            found.setdefault(method.library, []).append(method)
    return found


def catalogue() -> list[dict[str, Any]]:
    """What a reader must know of each method of our own, as plain data for JSON.

    Returns:
        One dict for each method. Its "passes" are the runs of the network for each image with the default parameters,
        each forward and, where "backward", backward.
    """
    return [
        {key: getattr(method, key) for key in ("name", "abbreviation", "title", "family", "formula", "needs")}
        | {"citation": method.cite, "passes": method.passes(), "backward": method.backward}
        | {"parameters": {k: {"default": method.defaults[k], "meaning": note} for k, note in method.help.items()}}
        for method in by_family()
    ]


def method(
    name: str,
    *,
    family: str,
    passes: Callable[[Parameters], int] = lambda parameters: 1,
    parts: Callable[[Parameters], Parts] | None = None,
    **fields: Any,
) -> Callable[[Callable], Callable]:
    """Register a function as a saliency method.

    The method's parameters are the function's keyword-only arguments, each annotated with what it means:
    `steps: Annotated[int, "points on the path"] = 25`.

    Args:
        name: of the method.
        family: a name in FAMILIES.
        passes: parameters -> passes through the model per image.
        parts: of a composition, parameters -> what it is made of; it costs no passes itself.
        fields: the other fields of `Method`.
    """
    FAMILIES[family]
    cost = (lambda parameters: 0) if parts else passes

    def add(function: Callable) -> Callable:
        found = Method(name=name, family=family, function=function, cost=cost, components=parts, **fields)
        METHODS.register(name)(found)
        return function

    return add


def select(methods: str) -> list[str]:
    """Names of methods from a list of names and groups, each once and in that order.

    Args:
        methods: comma-separated names and groups: "paper" for the eight of Arun et al., "venkatesh" for the
            six of Venkatesh et al., the families, "all" for all of
            these; and each library for its own, "libraries" for those of all.

    Returns:
        Names in the registry.

    Raises:
        SaltrustError: a name is unknown.

    >>> import saltrust.methods  # fills the registry
    >>> select("grad,ig,grad")
    ['grad', 'ig']
    """
    groups = {family: [m.name for m in by_family() if m.family == family] for family in FAMILIES}
    groups |= {"all": [m.name for m in by_family()], "paper": list(PAPER_EIGHT)}
    groups |= {"venkatesh": list(VENKATESH_SIX)}
    by_others = {library: [m.name for m in members] for library, members in by_library().items()}
    groups |= by_others | {"libraries": [name for names in by_others.values() for name in names]}
    found: dict[str, None] = {}
    for name in (name.strip() for name in methods.split(",")):
        if name not in groups and name not in METHODS:
            raise unknown_name("method", name, [*METHODS, *groups])
        found |= dict.fromkeys(groups.get(name, [name]))
    return list(found)


def label_of(method: str) -> str:
    """What a method is called in figures; controls and localizers in capitals, titles as they are.

    >>> import saltrust.methods  # fills the registry
    >>> label_of("smoothgrad"), label_of("unet")
    ('SG', 'U-Net')
    """
    special = {"average": "AVG", "unet": "U-Net", "retinanet": "RetinaNet", "constant": "CONST"}
    special |= {"average reader": "readers"}
    if method in METHODS:
        return METHODS[method].abbreviation
    return special.get(method, method.upper() if method.islower() else method)
