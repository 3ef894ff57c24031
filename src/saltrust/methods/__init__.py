"""Saliency methods, a family in one file or a few. Importing this package fills `registry.METHODS`."""

from saltrust.methods import cam, controls, deeplift, gradient, guided, lrp, multiscale, occlusion, perturbation, xrai

__all__ = [
    "cam",
    "controls",
    "deeplift",
    "gradient",
    "guided",
    "lrp",
    "multiscale",
    "occlusion",
    "perturbation",
    "xrai",
]
