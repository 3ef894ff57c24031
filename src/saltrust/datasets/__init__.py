"""Data sets: one loader per module, named like the loader, registered in `loaders.LOADERS`."""

from saltrust.datasets import folder, phantom

__all__ = ["folder", "phantom"]
