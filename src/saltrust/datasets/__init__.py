"""Data sets: one loader per module, named like the loader, registered in `loaders.LOADERS`."""

from saltrust.datasets import cells, chexpert, folder, mura, nih, phantom, rsna, siim, vindr

__all__ = ["cells", "chexpert", "folder", "mura", "nih", "phantom", "rsna", "siim", "vindr"]
