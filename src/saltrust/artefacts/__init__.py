"""What is computed and stored (floor 3): data, networks, maps and scores, and the store.

The package may import the libraries and `core`. Only here the libraries meet: an artefact says which data, network,
method and score make one result. Its name in the store covers all that determines it, the code included. So the imports
of what computes stand inside `compute`: a module that is imported there is part of the artefact's name, and an edit of
it makes the artefact anew, while one at the top of the file is not. Never move such an import to the top. The README of
this folder says more.
"""

from saltrust.artefacts import coalitions, data, findings, maps, networks, readers, scores
from saltrust.artefacts.artefact import KINDS, STAGES, Artefact, Work

__all__ = [
    "KINDS",
    "STAGES",
    "Artefact",
    "Work",
    "coalitions",
    "data",
    "findings",
    "maps",
    "networks",
    "readers",
    "scores",
]
