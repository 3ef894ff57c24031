"""What the methods of other libraries share: which library it is, how it gets the network, how a method is named."""

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module, metadata
from types import ModuleType
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from saltrust.core.errors import SaltrustError
from saltrust.methods.explained import Explained
from saltrust.methods.explained_scalar import Selection
from saltrust.methods.network_runs import isolated
from saltrust.methods.registry import METHODS, method

Version = Annotated[str, "of the library that makes the map"]

Attribute = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""(network, images, number of the output to explain for each) -> maps; the images ask for a gradient."""


@dataclass(frozen=True)
class Library:
    """A package that explains networks.

    Attributes:
        name: that its methods begin with.
        title: as in prose and figures.
        distribution: what is to be installed.
        module: what is to be imported.
        cite: BibTeX key.
    """

    name: str
    title: str
    distribution: str
    module: str
    cite: str

    @property
    def version(self) -> str:
        """That is installed here, "" for none."""
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return ""

    def load(self, version: str, module: str = "") -> ModuleType:
        """One of the library's modules, imported.

        Args:
            version: that is asked for.
            module: its path, by default that of the whole library.

        Raises:
            SaltrustError: the library is not installed, in another version, or cannot be imported.
        """
        if not self.version:
            raise SaltrustError(
                f"the methods of {self.title} need the package '{self.distribution}', which is not installed: "
                f"pip install {self.distribution}"
            )
        if version != self.version:
            raise SaltrustError(
                f"version {version or 'none'} of {self.title} is asked for; {self.version} is installed here: "
                f"pip install {self.distribution}=={version or self.version}"
            )
        try:
            with warnings.catch_warnings(action="ignore"):
                return import_module(module or self.module)
        except Exception as error:  # importing runs the code of others
            raise SaltrustError(f"{self.title} {version} cannot be imported: {_in_one_line(error)}") from error

    def counterpart(
        self, name: str, passes: Callable[[Mapping[str, Any]], int] | None = None, **fields: Any
    ) -> Callable[[Callable], Callable]:
        """Register a function as this library's way to do what one of our methods does.

        The protocol decides those of our method's parameters that the function takes, too.

        Args:
            name: of our method.
            passes: parameters -> passes through the model per image; by default those of our method.
            fields: fields of `Method` in which it differs from ours.
        """
        own = METHODS[name]
        shared = ("family", "formula", "needs", "signed", "backward")

        def add(function: Callable) -> Callable:
            known = inspect.signature(function).parameters
            own_fields = {
                "abbreviation": f"{own.abbreviation} ({self.title})",
                "title": f"{own.title} ({self.title})",
                "from_protocol": lambda protocol, profile: {
                    key: value for key, value in own.from_protocol(protocol, profile).items() if key in known
                },
                **{field: getattr(own, field) for field in shared},
                "cite": f"{own.cite},{self.cite}",
            }
            registered = self.method(name, passes=passes or own.cost, **own_fields | fields)
            return registered(function)

        return add

    def method(self, name: str, **fields: Any) -> Callable[[Callable], Callable]:
        """Register a function as a method of this library; arguments as of `registry.method`."""
        return method(f"{self.name}:{name}", library=self.name, **fields)

    def attributed(self, model: Explained, images: Tensor, attribute: Attribute, by_image: bool = False) -> Tensor:
        """Maps by a library that wants a network whose outputs it can choose from.

        Args:
            model: the network.
            images: (n, channels, height, width) in the model's input range.
            attribute: what the library makes of some images.
            by_image: whether it is given one image at a time.

        Returns:
            Maps of the attribute's shape.

        Raises:
            SaltrustError: the library refuses the network, or fails.
        """
        accepted = model.accept(images)
        selection = model.select(accepted)
        network = Signed(model.network(), model.scalar.link)
        parts = []
        for items in torch.arange(len(images), device=accepted.device).split(1 if by_image else model.batch_size):
            batch = accepted[items].clone().requires_grad_()
            targets = self.guarded(model, network.targets, batch, selection.take(items))
            parts.append(self.guarded(model, attribute, network, batch, targets).detach())
        return torch.cat(parts).to(images.device, images.dtype)

    def guarded(self, model: Explained, function: Callable, *given: Any) -> Any:
        """What a function of the library returns; random states stay as they are, and warnings are not shown.

        Raises:
            SaltrustError: the library refuses, or fails.
        """
        try:
            with isolated(model.device), warnings.catch_warnings(action="ignore"):
                return function(*given)
        except SaltrustError:
            raise
        except (Exception, SystemExit) as error:  # each library has errors of its own, and so has the network
            raise SaltrustError(f"{self.title} {self.version} refuses: {_in_one_line(error)}") from error


def _in_one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


class Signed(nn.Module):
    """A network whose outputs are the values that may be explained, and behind them the same values with minus signs.

    So a signed scalar is one of its outputs, and whoever explains an output explains the scalar.

    >>> Signed(nn.Flatten(), lambda outputs: outputs)(torch.tensor([[[1.0, 2.0]]])).tolist()
    [[1.0, 2.0, -1.0, -2.0]]
    """

    def __init__(self, network: nn.Module, link: Callable[[Tensor], Tensor]):
        super().__init__()
        self.network, self.link = network, link

    def forward(self, images: Tensor) -> Tensor:
        values = self.link(self.network(images))
        return torch.cat([values, -values], 1)

    def targets(self, images: Tensor, selection: Selection) -> Tensor:
        """Numbers (n,) of the outputs that are explained for images."""
        with torch.no_grad():
            count = self(images[:1]).shape[1] // 2
        return selection.index + count * (selection.sign < 0)

    def relevance(self, images: Tensor, targets: Tensor, attribute: Attribute) -> Tensor:
        """Relevance of the network's own outputs, as a library shares it out, in units of the explained scalar.

        Signs and probabilities pass relevance on as it is, for which libraries have no rule; and relevance is linear in
        that of the output.

        Args:
            images: (n, channels, height, width).
            targets: as from `targets`.
            attribute: what the library makes of the network without its link.

        Returns:
            Maps of the images' shape.
        """
        with torch.no_grad():
            outputs, values = self.network(images), self(images)
        index = targets % outputs.shape[1]
        share = values.gather(1, targets[:, None]) / outputs.gather(1, index[:, None])
        return attribute(self.network, images, index) * share[:, :, None, None]
