"""Other codes: captum, Adebayo et al."""

from dataclasses import replace

import torch

from saltrust.analysis.audit.finding import ADEBAYO, finding
from saltrust.artefacts.maps import Randomization, SaliencyMaps
from saltrust.methods.explained import Explained
from saltrust.methods.guided import GatedReLU
from saltrust.methods.registry import METHODS
from saltrust.models.classifiers import build
from saltrust.study.criteria import similarity
from saltrust.study.study import Study


@finding(
    "captum",
    "Rectifiers that hooks do not see",
    text="Guided Backpropagation",
    code="changes ReLU modules, not calls of relu()",
    measure="share of InceptionV3's rectifiers that are guided",
)
def functional_relu(study: Study) -> tuple[float, float]:
    network = build("inception_v3")
    rules = GatedReLU("the audit", lambda gradient, fired: gradient * fired, "gradient")  # the gradient's own rule
    explained = Explained(network)
    with explained.under(rules):
        explained.gradients(torch.zeros(1, 3, 80, 80))
    modules = sum(isinstance(module, torch.nn.ReLU) for module in network.modules())
    return 1.0, modules / rules.calls


SIDE = 64  # pixels of the image that relevance is shared out to


@finding(
    "captum",
    "Pooling that hooks do not see",
    text="LRP (in Shu et al.): relevance is shared out by value",
    code="a mean that is called as a function gives every position the same share",
    measure="cosine with Input × Gradient, which LRP equals without biases, on an untrained DenseNet121",
)
def functional_pooling(study: Study) -> tuple[float, float]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(study.seed)
        network, image = build("densenet121").double(), 2 * torch.rand(1, 3, SIDE, SIDE, dtype=torch.float64) - 1
    explained = Explained(network)  # its biases are zero until it is trained
    names = ("input_x_gradient", "lrp", "captum:lrp")
    gradient, *others = (METHODS[name].function(explained, image, [(0,)]).flatten() for name in names)
    return tuple(float(torch.cosine_similarity(one, gradient, dim=0)) for one in others)


def _random_states(study: Study) -> list[SaliencyMaps]:
    """Of a network with all weights random, with statistics of batch normalization reset, and with those it learned."""
    state = Randomization(study.networks.stages[-1], study.protocol.initialization, "reset", study.seed)
    states, cascaded = (state, replace(state, batchnorm="keep_statistics")), study.images.cascaded
    return [study.maps.artefact("guided_backprop", images=cascaded, randomization=one) for one in states]


@finding(
    ADEBAYO,
    "Statistics that are not randomized",
    text="weights drawn anew, layer by layer",
    code="trainable variables only: batch normalization keeps what it learned of the data",
    measure="SSIM of guided backpropagation after all weights are random",
    maps=_random_states,
)
def batchnorm(study: Study) -> tuple[float, float]:
    original = study.maps.artefact("guided_backprop")
    sets = [
        ({"state": maps.randomization.batchnorm}, similarity(original, maps, study.protocol))
        for maps in _random_states(study)
    ]
    return tuple(study.criteria.frame(sets, "ssim").groupby("state", sort=False)["ssim"].mean())
