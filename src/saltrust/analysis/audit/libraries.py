"""Other codes: captum, Adebayo et al."""

from dataclasses import replace

import torch

from saltrust.analysis.audit.finding import ADEBAYO, finding
from saltrust.artefacts.maps import Randomization, SaliencyMaps
from saltrust.methods.explained import Explained
from saltrust.methods.guided import GatedReLU
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
