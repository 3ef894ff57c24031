"""The one place that runs a classifier for its gradients; every method is arithmetic on what this returns."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from difflib import get_close_matches

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointError

from saltrust.core.devices import ON_CPU, measured_batch
from saltrust.core.errors import SaltrustError, unknown_name
from saltrust.core.network_blocks import blocks
from saltrust.methods.explained_scalar import SCALARS, Selection
from saltrust.methods.fold_batchnorm import fold_batchnorm
from saltrust.methods.network_runs import (
    captured_outputs,
    evaluation_copy,
    is_map,
    isolated,
    only_output,
    sharing_copy,
    spare_images,
)
from saltrust.methods.rules import Rules

# Such blocks thin out what the one before them has found, and find nothing themselves.
_PASSIVE = ("torch.nn.modules.pooling", "torch.nn.modules.dropout")


class Explained:
    """A classifier, seen as a differentiable scalar function of the image.

    The model is copied. Only the copy is put into evaluation mode, freed of its weights' gradients and run: the model
    itself is never touched, nor is the global random state. Changes made to the model afterwards are not seen. All
    methods but `accept` expect images as `accept` returns them.

    Args:
        model: maps images (n, channels, height, width) to outputs (n, n_outputs).
        scalar: what is explained. "logit", "negated_logit" and "probability" are of output `target`; "argmax_logit" is
            the logit of the class predicted for the image (with a single output z: z where z >= 0, else -z);
            "runner_up_logit" is that of the class which the model thinks next most likely (with a single output: minus
            the predicted one's).
        target: number of the output, from 0.
        cam_layer: dotted path of the module whose output the class activation maps use; None for the end of the
            coarsest scale.
        batch_size: images in one pass, at least 1; no result depends on it beyond rounding. None for what the free
            memory of the GPU allows, 32 without one.
        input_range: (black, white) of the model's input.

    Raises:
        SaltrustError: the scalar or module is unknown, or the model cannot be explained truthfully.

    >>> network = nn.Sequential(nn.AvgPool2d(2), nn.Flatten())
    >>> model = Explained(network, input_range=(0.0, 1.0))
    >>> model.gradients(model.accept(torch.ones(1, 1, 2, 2))).tolist()
    [[[[0.25, 0.25], [0.25, 0.25]]]]
    """

    def __init__(
        self,
        model: nn.Module,
        scalar: str = "logit",
        target: int = 0,
        cam_layer: str | None = None,
        batch_size: int | None = None,
        input_range: tuple[float, float] = (-1.0, 1.0),
    ):
        if batch_size is not None and batch_size < 1:
            raise SaltrustError(f"batch_size is {batch_size}; it must be at least 1")
        self.scalar = SCALARS[scalar]
        self.target = target
        self.cam_layer = cam_layer
        self.input_range = input_range
        with isolated(torch.device("cpu")):
            self._model = self._never_run = evaluation_copy(model)
            if cam_layer is not None:
                self._module(cam_layer)
            self._folded = fold_batchnorm(self._model, keep=cam_layer)
            self._model = self.network()
        self._rules: Rules | None = None
        reference = next(self._model.parameters(), torch.zeros(()))
        self.device, self.dtype = reference.device, reference.dtype
        self.batch_size = batch_size or ON_CPU
        self._to_be_measured = batch_size is None and self.device.type == "cuda"

    def of_output(self, target: int) -> "Explained":
        """The same network, of which another output is explained: nothing is copied.

        target: number of the output, from 0.
        """
        other = copy.copy(self)
        other.target = target
        return other

    def network(self) -> nn.Module:
        """A copy of the network as it is run, batch normalization folded, for others to put hooks on.

        It leaves the images that it is given as they are. Its weights are the same tensors, which costs no memory;
        whoever changes them must change them back.
        """
        return spare_images(sharing_copy(self._never_run))

    def accept(self, images: Tensor) -> Tensor:
        """The images on the model's device and in its precision.

        Args:
            images: floats (n, channels, height, width) in the input range, n at least 1.

        Returns:
            A tensor of the same shape.

        Raises:
            SaltrustError: the images are no such batch, not finite, or out of the input range.
        """
        if images.ndim != 4 or not images.is_floating_point():
            raise SaltrustError(
                f"images must be floats of shape (n, channels, height, width), not {images.dtype} {tuple(images.shape)}"
            )
        if not len(images):
            raise SaltrustError("there are no images to explain")
        low, high = self.input_range
        slack = 1e-4 * (high - low)
        least, most = (float(value) for value in torch.aminmax(images))
        if not (low - slack <= least and most <= high + slack):  # written so that NaN fails too
            raise SaltrustError(f"images range from {least:g} to {most:g}; this model's input is {low:g} to {high:g}")
        accepted = images.detach().to(self.device, self.dtype)
        if self._to_be_measured:
            self._to_be_measured = False
            self.batch_size = measured_batch(self.device, lambda: self.gradients(accepted[:1]))
        return accepted

    def select(self, images: Tensor) -> Selection:
        """What is explained for each image; one forward pass where that depends on the prediction, else none.

        Args:
            images: (n, channels, height, width).

        Returns:
            The selection for n images.
        """
        sign = torch.ones(len(images), device=self.device, dtype=self.dtype)
        place = self.scalar.place
        if place is None:
            return Selection(torch.full((len(images),), self.target, device=self.device), sign)
        outputs = self.outputs(images)
        if outputs.shape[1] > 1:
            return Selection(outputs.argsort(dim=1, descending=True, stable=True)[:, place], sign)
        predicted = torch.where(outputs[:, 0] >= 0, sign, -sign)
        return Selection(torch.zeros_like(sign, dtype=torch.long), -predicted if place else predicted)

    def outputs(self, images: Tensor) -> Tensor:
        """The model's outputs (n, n_outputs) for images (n, channels, height, width), without gradients."""
        with isolated(self.device), torch.no_grad():
            return torch.cat([self._forward(images[batch]) for batch in self._batches(len(images))])

    def scalars(self, images: Tensor, selection: Selection | None = None) -> Tensor:
        """The explained scalar of each image, without gradients.

        Args:
            images: (n, channels, height, width).
            selection: what is explained for each; None to ask `select`.

        Returns:
            A tensor (n,).
        """
        selection = selection or self.select(images)
        with isolated(self.device), torch.no_grad():
            batches = ((images[b], selection.take(b)) for b in self._batches(len(images)))
            return torch.cat([one.pick(self._values(batch)) for batch, one in batches])

    def gradients(self, images: Tensor, selection: Selection | None = None) -> Tensor:
        """Gradient of the explained scalar with respect to the image.

        Args:
            images: (n, channels, height, width).
            selection: what is explained for each; None to ask `select`.

        Returns:
            A tensor of the images' shape.
        """
        return self.scalars_and_gradients(images, selection)[1]

    def scalars_and_gradients(self, images: Tensor, selection: Selection | None = None) -> tuple[Tensor, Tensor]:
        """The explained scalars and their gradients, from the same passes.

        Args:
            images: (n, channels, height, width).
            selection: what is explained for each; None to ask `select`.

        Returns:
            Tensors (n,) and of the images' shape.
        """
        selection = selection or self.select(images)
        scalars, gradients = self._scalars_and_gradients(images, [selection])
        return scalars[0], gradients[0].contiguous()

    def scalars_and_gradients_of(self, images: Tensor, targets: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The scalars of several outputs and their gradients: one forward pass for all, a backward pass for each.

        Args:
            images: (n, channels, height, width).
            targets: numbers of the outputs, in the place of `target`.

        Returns:
            Tensors (targets, n) and (targets, n, channels, height, width).

        Raises:
            SaltrustError: an output of that number does not exist, or what is explained is the predicted class.

        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(2, 2, bias=False))
        >>> _ = network[1].weight.data.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        >>> Explained(network).scalars_and_gradients_of(torch.ones(1, 1, 1, 2), [1, 0])[1].flatten(1).tolist()
        [[3.0, 4.0], [1.0, 2.0]]
        """
        if self.scalar.place is not None:
            raise SaltrustError("the predicted class of an image is one output: ask for it, not for several")
        most = self.of_output(min(targets) if min(targets) < 0 else max(targets))  # if there is this one, there are all
        return most._scalars_and_gradients(images, [self.of_output(target).select(images) for target in targets])

    def _scalars_and_gradients(self, images: Tensor, selections: Sequence[Selection]) -> tuple[Tensor, Tensor]:
        """Of each selection, along the first axis."""
        parts = [self._differentiate(images[b], [s.take(b) for s in selections]) for b in self._batches(len(images))]
        scalars, gradients, _ = zip(*parts, strict=True)
        return torch.cat(scalars, dim=1), torch.cat(gradients, dim=1)

    def features(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Outputs of some modules, without gradients: one forward pass for each image.

        Args:
            images: (n, channels, height, width).
            layers: dotted paths of modules.

        Returns:
            Path -> output (n, ...).

        Raises:
            SaltrustError: a module does not exist, runs other than once, or its output was changed by folding.
        """
        layers = [self.whole(layer) for layer in layers]
        with isolated(self.device), torch.no_grad(), self._captured(layers) as captured:
            for batch in self._batches(len(images)):
                self._forward(images[batch])
        runs = -(-len(images) // self.batch_size)
        return {layer: torch.cat(only_output(captured, layer, runs)) for layer in layers}

    @property
    def blocks(self) -> list[str]:
        """Paths of the blocks that run one after the other from the image to the output, see `core.network_blocks`."""
        return blocks(self._model)

    def block_grids(self, images: Tensor) -> dict[str, tuple[int, int]]:
        """Rows and columns of the blocks that run once and return a map of their own, from one forward pass.

        Blocks of pooling or dropout are left out, as are those whose output was changed by folding.
        """
        maps = [
            block
            for block in self.blocks
            if block not in self._folded and type(self._module(block)).__module__ not in _PASSIVE
        ]
        return self.grids(maps, images)

    def grids(self, layers: Sequence[str], images: Tensor) -> dict[str, tuple[int, int]]:
        """Rows and columns of those of the modules that run once and return a map.

        Args:
            layers: dotted paths of modules.
            images: (n, channels, height, width).

        Returns:
            Path -> (rows, columns), in the order of the paths.
        """
        with self._captured(layers, tensors_only=False) as captured:
            self.outputs(images)
        return {
            layer: tuple(outputs[0].shape[2:])
            for layer, outputs in captured.items()
            if len(outputs) == 1 and is_map(outputs[0], images)
        }

    @contextmanager
    def under(self, rules: Rules) -> Iterator[None]:
        """Run the model under other rules for its operations; what `rules` learns about the runs stays in it.

        The rules hold for the model and for the link to the explained scalar, not for the arithmetic around them.
        """
        with rules.following(self._model):
            self._rules = rules
            try:
                yield
            finally:
                self._rules = None

    def activations(self, images: Tensor, layer: str | None = None) -> tuple[Tensor, Tensor]:
        """Output of a module, and the gradient of the explained scalar with respect to it.

        Args:
            images: (n, channels, height, width).
            layer: dotted path of the module; None for the cam_layer.

        Returns:
            Two tensors (n, c, rows, columns).

        Raises:
            SaltrustError: the module does not exist, runs other than once, or returns no spatial map.
        """
        layer = self._cam_layer(layer)
        selection = self.select(images)
        results = [self._differentiate(images[b], [selection.take(b)], layer) for b in self._batches(len(images))]
        _, gradients, outputs = zip(*results, strict=True)
        if not is_map(outputs[0], images):
            raise SaltrustError(
                f"module '{layer}' returns shape {tuple(outputs[0].shape)}; a class activation map needs (n, c, h, w)"
            )
        return torch.cat(outputs), torch.cat(gradients, dim=1)[0]

    def output_shapes(self, layers: Sequence[str], images: Tensor) -> dict[str, tuple[int, ...]]:
        """Shape of the output of each of the modules, from one forward pass.

        Args:
            layers: dotted paths of modules.
            images: (n, channels, height, width).

        Returns:
            Path -> shape.
        """
        with isolated(self.device), torch.no_grad(), self._captured(layers) as captured:
            self._forward(images)
        return {layer: tuple(only_output(captured, layer)[0].shape) for layer in layers}

    def _differentiate(
        self, images: Tensor, selections: Sequence[Selection], layer: str | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(scalars of each selection, their gradients with respect to the variable, the variable): the image, or a
        module's output."""
        with isolated(self.device), self._captured([layer] if layer else []) as captured:
            images = images.clone(memory_format=torch.channels_last).requires_grad_()
            values = self._values(images)
            variable = only_output(captured, layer)[0] if layer else images
            scalars = [selection.pick(values) for selection in selections]
            try:
                gradients = [_gradient(scalars, place, variable) for place in range(len(scalars))]
            except CheckpointError as error:
                raise SaltrustError(
                    "the model computes parts of itself again on the way back (torch.utils.checkpoint), where this "
                    "method's rules do not see it: switch that off"
                ) from error
            if any(gradient is None for gradient in gradients):
                what = f"module '{layer}'" if layer else "the image"
                raise SaltrustError(f"the model's output does not depend on {what} in a differentiable way")
            return torch.stack(scalars).detach(), _stacked(gradients), variable.detach()

    def _values(self, images: Tensor) -> Tensor:
        """What the scalar's link makes of the model's outputs: (n, n_outputs)."""
        if self._rules is None:
            return self.scalar.link(self._forward(images))
        self._rules.path = ""
        self._rules.restart(images)
        with self._rules:
            values = self.scalar.link(self._forward(images))
        self._rules.finish(values)
        return values

    def _forward(self, images: Tensor) -> Tensor:
        try:
            outputs = self._model(images)
        except SystemExit as error:
            raise SaltrustError(f"the model ends the program (sys.exit({error})) as it runs") from error
        if not isinstance(outputs, Tensor) or outputs.ndim != 2 or len(outputs) != len(images):
            found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise SaltrustError(f"the model must return a tensor (n, n_outputs) for n images; it returned {found}")
        if not 0 <= self.target < outputs.shape[1]:
            raise SaltrustError(f"target {self.target} is not among the model's outputs 0 to {outputs.shape[1] - 1}")
        return outputs.clone()  # the model may write its next outputs into the same memory

    def _batches(self, n: int) -> Iterator[slice]:
        return (slice(first, min(first + self.batch_size, n)) for first in range(0, n, self.batch_size))

    def _captured(
        self, layers: Sequence[str], tensors_only: bool = True
    ) -> AbstractContextManager[dict[str, list[Tensor]]]:
        return captured_outputs({layer: self._module(layer) for layer in layers}, tensors_only)

    def _cam_layer(self, layer: str | None) -> str:
        layer = layer or self.cam_layer
        if layer is None:
            raise SaltrustError("no layer for the class activation map: give its module path as `layer` or `cam_layer`")
        return self.whole(layer)

    def whole(self, layer: str) -> str:
        """The path of a module. Raises SaltrustError where its output was changed by folding."""
        if layer in self._folded:
            raise SaltrustError(
                f"the batch normalization after '{layer}' was folded into it: name the layer where the model is "
                f"wrapped, Explained(model, cam_layer='{layer}')"
            )
        return layer

    def _module(self, layer: str) -> nn.Module:
        modules = dict(self._model.named_modules())
        if layer not in modules:
            near = get_close_matches(layer, modules, n=5) or [name for name, _ in self._model.named_children()]
            raise unknown_name("module of the model", layer, near)
        return modules[layer]


def _gradient(scalars: Sequence[Tensor], place: int, variable: Tensor) -> Tensor | None:
    """Of one of the scalars (n,); None where it does not depend on the variable. The last frees what a run has kept."""
    if not scalars[place].requires_grad:
        return None
    more = place + 1 < len(scalars)
    return torch.autograd.grad(scalars[place].sum(), variable, retain_graph=more, allow_unused=True)[0]


def _stacked(gradients: Sequence[Tensor]) -> Tensor:
    """Along a new first axis; a single one keeps its layout in memory."""
    return gradients[0][None] if len(gradients) == 1 else torch.stack(gradients)
