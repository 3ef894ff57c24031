"""Saliency methods (floor 2), a family in one file or a few. Importing this package fills `registry.METHODS`.

The package may import `core` and no other library: a method explains any PyTorch network, not only those of `models`.
`explained` runs a network for its gradients, and every method is arithmetic on what it returns; `rules` and
`operations` change what single operations do on the way; `registry` says what a method is. A new method is one function
under `@method(...)` in one file. `libraries` has other libraries' implementations of the same.
"""

from saltrust.methods import cam, controls, deeplift, gradient, guided, lrp, multiscale, occlusion, perturbation, xrai

from saltrust.methods import libraries  # isort: skip  # last: they take the places of our own

__all__ = [
    "cam",
    "controls",
    "deeplift",
    "gradient",
    "guided",
    "libraries",
    "lrp",
    "multiscale",
    "occlusion",
    "perturbation",
    "xrai",
]
