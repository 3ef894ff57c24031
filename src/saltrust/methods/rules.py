"""Other rules for a network's operations: the base of what guided backpropagation, DeepLIFT and LRP put in place."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class Rules(TorchFunctionMode):
    """Changes what the model's operations do, on the way forward or backward; used by `Explained.under`.

    The calls themselves are seen, wherever they come from: modules, functions and methods, in place or not, in a module
    that runs once or many times. The network's code is not rewritten.

    Attributes:
        path: dotted path of the module that is running; "" for the model itself and for the link from its outputs to
            the explained scalar.
    """

    def __init__(self) -> None:
        super().__init__()
        self.path = ""

    def restart(self, images: Tensor) -> None:
        """Forget the last run; called before each run of the model, with the images that it gets."""

    def finish(self, outputs: Tensor) -> None:
        """Look at what a run has returned, the explained values (n, n_outputs); called after each run."""

    @contextmanager
    def following(self, model: nn.Module) -> Iterator[None]:
        """Keep `path` up to date while the model runs."""
        # A compiled module takes no hooks; what runs in it counts as its caller's.
        paths = {m: path for path, m in model.named_modules() if not isinstance(m, torch.jit.ScriptModule)}
        running: list[str] = []

        def enter(module: nn.Module, inputs: tuple) -> None:
            running.append(self.path)
            self.path = paths[module]

        def leave(module: nn.Module, inputs: tuple, output: object) -> None:
            self.path = running.pop()

        handles = []
        try:
            for module in paths:
                handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
            yield
        finally:
            for handle in handles:
                handle.remove()
