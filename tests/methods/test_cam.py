import captum.attr
import pytest
import torch
from torch import nn
from torch.nn import functional

from saltrust.errors import SaltrustError
from saltrust.methods.cam import choose_cam_layer, gradcam
from saltrust.methods.explained import Explained

EXACT = {"rtol": 0, "atol": 1e-12}


def network(inplace=False):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(inplace), nn.Conv2d(8, 6, 3), nn.ReLU(inplace)]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 2)).double()


def images(n=3):
    return torch.rand(n, 3, 17, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 2 - 1


@pytest.mark.parametrize("layer", ["0", "1", "2", "3"])
@pytest.mark.parametrize("inplace", [False, True])
def test_gradcam_equals_captum(layer, inplace):
    """captum on the network whose ReLU does not work in place: it would read the map after the ReLU."""
    reference = network()
    theirs = captum.attr.LayerGradCam(reference, reference[int(layer)])
    expected = theirs.attribute(images(), target=1, relu_attributions=True)
    expected = captum.attr.LayerAttribution.interpolate(expected, (17, 20), "bilinear")
    maps = gradcam(Explained(network(inplace), target=1), images(), [(i,) for i in range(3)], layer=layer)
    assert expected.max() > 1e-4
    torch.testing.assert_close(maps, expected, **EXACT)


def test_gradcam_of_a_linear_head_is_the_class_activation_map():
    """With average pooling and one linear layer, Grad-CAM is CAM over the number of positions (Selvaraju, eq. 3)."""
    conv, head = nn.Conv2d(3, 4, 3).double(), nn.Linear(4, 1).double()
    model = nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    cam = torch.einsum("k,nkij->nij", head.weight[0], conv(images())).relu() / (15 * 18)
    expected = functional.interpolate(cam[:, None], (17, 20), mode="bilinear").detach()
    torch.testing.assert_close(gradcam(Explained(model, cam_layer="0"), images(), [()] * 3), expected, **EXACT)


@pytest.mark.parametrize(("min_grid", "layer"), [(1, "3"), (2, "3"), (6, "3"), (7, "1"), (8, "1")])
def test_the_deepest_layer_with_a_grid_fine_enough_is_chosen(min_grid, layer):
    model = network().train()
    assert choose_cam_layer(model, ["6", "3", "1"], 17, min_grid) == layer
    assert model.training


def test_no_layer_fine_enough():
    with pytest.raises(SaltrustError, match="no layer has a grid of 9 x 9 for images of 17 pixels; grids: 3 6, 1 8"):
        choose_cam_layer(network(), ["6", "3", "1"], 17, 9)
