"""Saliency methods, one file per family. Importing this package fills `registry.METHODS`."""

from saltrust.methods import cam, gradient, guided, xrai

__all__ = ["cam", "gradient", "guided", "xrai"]
