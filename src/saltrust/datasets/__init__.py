"""Data sets: one loader per module, named like the loader, registered in `loaders.LOADERS`."""

from saltrust.datasets import cells, folder, phantom

__all__ = ["cells", "folder", "phantom"]
