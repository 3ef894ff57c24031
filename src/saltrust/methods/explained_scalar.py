"""What is explained: which number a network's outputs are turned into, and which of them counts for an image."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from saltrust.core.registry import Registry


@dataclass(frozen=True)
class Scalar:
    """A number to explain.

    Attributes:
        link: maps the model's outputs (n, n_outputs) to as many values, of which one is taken.
        place: None to take that of the target; else that of the class with this place (from 0) in the model's
            prediction for the image.
    """

    link: Callable[[Tensor], Tensor]
    place: int | None = None


def _probabilities(outputs: Tensor) -> Tensor:
    return outputs.sigmoid() if outputs.shape[1] == 1 else outputs.softmax(1)


SCALARS: Registry[Scalar] = Registry("explained scalar")
SCALARS.register("logit")(Scalar(lambda outputs: outputs))
SCALARS.register("negated_logit")(Scalar(lambda outputs: -outputs))
SCALARS.register("argmax_logit")(Scalar(lambda outputs: outputs, place=0))
SCALARS.register("runner_up_logit")(Scalar(lambda outputs: outputs, place=1))
SCALARS.register("probability")(Scalar(_probabilities))


@dataclass(frozen=True)
class Selection:
    """What is explained, image by image: `sign` times value number `index`.

    It is settled on the image itself. Along a path, or under noise, the question must not change: otherwise the
    attributions of a predicted class would not add up to the change of any one scalar.

    Attributes:
        index: number of the value (n,).
        sign: 1 or -1 (n,).
    """

    index: Tensor
    sign: Tensor

    def take(self, items: Tensor | slice) -> "Selection":
        """The selection for some of the images."""
        return Selection(self.index[items], self.sign[items])

    def pick(self, values: Tensor) -> Tensor:
        """The explained scalar of each image (n,) from the model's values (n, n_outputs).

        >>> import torch
        >>> Selection(torch.tensor([1]), torch.tensor([-1.0])).pick(torch.tensor([[0.5, 2.0]])).tolist()
        [-2.0]
        """
        index, sign = self.index.clone(), self.sign.clone()  # autograd takes none made in the caller's inference mode
        return sign * values.gather(1, index[:, None])[:, 0]
