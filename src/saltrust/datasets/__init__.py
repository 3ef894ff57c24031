"""Data sets (floor 2): from a data card to images with labels and truth.

The package may import `core` and no other library. Each loader is one module, named like the loader and registered in
`loaders.LOADERS`. `phantom`, `phantom_findings`, `bones` and `cells` draw images whose truth is known to the pixel; the
others read files that their owners license. All give the same thing, a `Split`, so that no other floor knows where an
image came from.
"""

from saltrust.datasets import (
    bones,
    cells,
    chexpert,
    digits,
    folder,
    folder_with_readers,
    mura,
    nih,
    phantom,
    phantom_findings,
    rsna,
    siim,
    vindr,
)

__all__ = [
    "bones",
    "cells",
    "chexpert",
    "digits",
    "folder",
    "folder_with_readers",
    "mura",
    "nih",
    "phantom",
    "phantom_findings",
    "rsna",
    "siim",
    "vindr",
]
