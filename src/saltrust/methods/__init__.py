"""Saliency methods, one file per family. Importing this package fills `registry.METHODS`."""

from saltrust.methods import cam, controls, deeplift, gradient, guided, lrp, multiscale, perturbation, xrai

__all__ = ["cam", "controls", "deeplift", "gradient", "guided", "lrp", "multiscale", "perturbation", "xrai"]
