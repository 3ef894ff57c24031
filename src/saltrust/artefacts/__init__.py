"""What is computed and stored, each kind as one class; and the store. README.md says why it is as it is."""

from saltrust.artefacts import data, maps, networks, scores
from saltrust.artefacts.artefact import KINDS, STAGES, Artefact, Work

__all__ = ["KINDS", "STAGES", "Artefact", "Work", "data", "maps", "networks", "scores"]
