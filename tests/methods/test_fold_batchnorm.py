import copy

import torch
from torch import nn

from saltrust.methods.fold_batchnorm import fold_batchnorm


def with_statistics(model):
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.running_var, module.weight.data, module.bias.data):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return model.double().eval()


class Block(nn.Module):
    """conv-bn pairs that may be folded (`a`) and that may not: output used twice (`b`), conv run twice (`c`)."""

    def __init__(self):
        super().__init__()
        for name in "abc":
            setattr(self, name, nn.Conv2d(3, 3, 3, padding=1))
            setattr(self, f"bn_{name}", nn.BatchNorm2d(3))

    def forward(self, x):
        x = self.bn_a(self.a(x)).relu()
        y = self.b(x)
        x = self.bn_b(y) + y
        return self.bn_c(self.c(x)) + self.c(x)


def test_only_what_stays_the_same_function_is_folded():
    model = with_statistics(Block())
    folded = copy.deepcopy(model)
    assert fold_batchnorm(folded) == {"a"}
    assert isinstance(folded.bn_a, nn.Identity)
    x = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(folded(x), model(x), rtol=0, atol=1e-12)


def test_a_convolution_to_keep_or_with_hooks_is_left_alone():
    assert fold_batchnorm(with_statistics(Block()), keep="a") == frozenset()
    model = with_statistics(Block())
    model.a.register_forward_hook(lambda *_: None)
    assert fold_batchnorm(model) == frozenset()


def test_a_model_that_cannot_be_traced_is_left_as_it_is():
    class Branches(Block):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else x

    model = with_statistics(Branches())
    assert fold_batchnorm(model) == frozenset()
    assert isinstance(model.bn_a, nn.BatchNorm2d)
