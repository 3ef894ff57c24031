"""Saliency methods, a family in one file or a few. Importing this package fills `registry.METHODS`.

The package may import `core` and no other library: a method explains any PyTorch network, not only those of `models`.
Three modules are the ground on which the others stand. `explained` runs a network for its gradients; `operations` and
`guided` change what single operations do on the way; `registry` says what a method is. A new method is one function
under `@method(...)` in one file.
"""

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
