"""Running a network without leaving a trace, and seeing what its modules return on the way."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from saltrust.core.errors import SaltrustError


def is_map(output: Tensor, images: Tensor) -> bool:
    """Whether a module's output is a map (n, c, rows, columns).

    For square images, unequal numbers in the place of rows and columns, after two equal ones, are (rows, columns, c):
    some transformers have their channels last.

    Args:
        output: what the module returned.
        images: the images (n, channels, height, width) that it was run on.

    >>> images = torch.zeros(1, 3, 8, 8)
    >>> is_map(torch.zeros(1, 5, 4, 4), images), is_map(torch.zeros(1, 4, 4, 5), images)
    (True, False)
    """
    if output.ndim != 4:
        return False
    square = images.shape[2] == images.shape[3]
    return not (square and output.shape[1] == output.shape[2] != output.shape[3])


def evaluation_copy(model: nn.Module) -> nn.Module:
    """A copy of a model in evaluation mode, whose weights need no gradients.

    Raises:
        SaltrustError: the model carries a backward hook, which may change every map, or cannot be copied.
    """
    for name, module in model.named_modules():
        if module._backward_hooks or module._backward_pre_hooks:
            raise SaltrustError(f"module '{name}' carries a backward hook, which may change every map: remove it first")
    try:
        copied = copy.deepcopy(model)
    except Exception as error:  # deepcopy runs whatever the model's attributes define
        raise SaltrustError(f"the model cannot be copied ({error}); explain a fresh instance of it") from error
    return copied.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def spare_images(network: nn.Module) -> nn.Module:
    """The network itself, which runs on a copy of its images from now on, whoever runs it.

    The images are the caller's, and a network may work in place: `x.sub_(mean).div_(std)`.

    Args:
        network: that is changed.

    >>> network = spare_images(nn.ReLU(inplace=True))
    >>> images = torch.tensor([-1.0, 1.0])
    >>> network(images).tolist(), images.tolist()
    ([0.0, 1.0], [-1.0, 1.0])
    """
    if _copied not in network._forward_pre_hooks.values():
        network.register_forward_pre_hook(_copied, prepend=True)  # before hooks of the network's own
    return network


def _copied(network: nn.Module, inputs: tuple) -> tuple:
    return tuple(value.clone() if isinstance(value, Tensor) else value for value in inputs)


def sharing_copy(network: nn.Module) -> nn.Module:
    """A copy of a network whose weights are the same tensors, which costs no memory (a TorchScript program's are not).

    Args:
        network: that has not run since it was copied itself: what it keeps of a run may not be copied.

    >>> network = nn.Linear(2, 1)
    >>> sharing_copy(network).weight is network.weight
    True
    """
    return copy.deepcopy(network, {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())})


@contextmanager
def isolated(device: torch.device) -> Iterator[None]:
    """Gradients on and mixed precision off, whatever the caller has set; the random state is given back as it was."""
    devices = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices),
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
    ):
        yield


@contextmanager
def captured_outputs(modules: Mapping[str, nn.Module], tensors_only: bool = True) -> Iterator[dict[str, list[Tensor]]]:
    """Record what some modules return while the block runs.

    The model goes on with a clone of each output, since a later ReLU may work in place. Without gradients the clone is
    kept instead: a module may also write its next output into the same memory.

    Args:
        modules: path -> module.
        tensors_only: whether a module that returns anything but a tensor is an error, or passed over.

    Yields:
        Path -> the outputs so far, one for each run of the module.

    >>> network = nn.Sequential(nn.ReLU(), nn.Flatten())
    >>> with captured_outputs({"0": network[0]}) as captured:
    ...     output = network(torch.tensor([[-1.0, 1.0]]))
    >>> captured["0"][0].tolist()
    [[0.0, 1.0]]
    """
    captured: dict[str, list[Tensor]] = {path: [] for path in modules}

    def record(path: str) -> Callable:
        def hook(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
            if not isinstance(output, Tensor):
                if not tensors_only:
                    return output
                raise SaltrustError(f"module '{path}' returns a {type(output).__name__}, not a tensor")
            kept, passed = (output, output.clone()) if output.requires_grad else (output.clone(), output)
            captured[path].append(kept)
            return passed

        return hook

    handles = [module.register_forward_hook(record(path)) for path, module in modules.items()]
    try:
        yield captured
    finally:
        for handle in handles:
            handle.remove()


def only_output(captured: dict[str, list[Tensor]], layer: str, runs: int = 1) -> list[Tensor]:
    """The outputs of a module that ran once in each pass.

    Args:
        captured: as from `captured_outputs`.
        layer: path of the module.
        runs: number of passes.

    Returns:
        One output for each pass.

    Raises:
        SaltrustError: the module ran more or less often.
    """
    if len(captured[layer]) != runs:
        times = len(captured[layer]) / runs
        raise SaltrustError(f"module '{layer}' runs {times:g} times in one pass; it must run once")
    return captured[layer]
