"""The blocks of a network: parts that run one after the other, between which it can be looked into or randomized."""

from torch import nn

_PLAIN = (nn.Sequential, nn.ModuleList)  # their subclasses may do more than hold modules


class Wrapper:
    """A module that is put around a network to fit it in, and is no block of it."""


def blocks(network: nn.Module) -> list[str]:
    """Paths of the blocks of a network from the image to the output, in the order of their definition.

    The blocks are the network's children. Some children are opened: their own children stand in their place. These are
    plain sequences, lists (which do not run themselves), what is wrapped alone, and what holds more than half of all
    weights, such as a backbone beside its head. A parameter that an opened module holds itself is in no block. A
    `Wrapper` around the network is none.

    Args:
        network: any module.

    Returns:
        Dotted paths of modules.

    >>> blocks(nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Flatten()))
    ['0.0', '0.1', '1']
    """
    return _within(network, "", sum(weight.numel() for weight in network.parameters()) / 2)


def _within(module: nn.Module, path: str, half: float) -> list[str]:
    children = [
        (f"{path}.{name}".lstrip("."), child)
        for name, child in module.named_children()
        if not isinstance(child, Wrapper)
    ]
    if len(children) == 1 and not path:  # a wrapper around the network
        (name, child), *_ = children
        return _within(child, name, half) or [name]

    def opened(child: nn.Module) -> bool:
        if next(child.children(), None) is None:
            return False
        return type(child) in _PLAIN or sum(weight.numel() for weight in child.parameters()) > half

    nested = [_within(child, name, half) if opened(child) else [name] for name, child in children]
    return [name for names in nested for name in names]
