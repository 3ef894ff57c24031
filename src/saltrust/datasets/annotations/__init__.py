"""Annotations in formats that many tools write: COCO, Pascal VOC and YOLO.

A function for each format reads a card's annotations into records. What the categories mean is the card's to say: those
of `positive` are the finding, in a card with classes each is a class, in one with findings those of that name are. An
image without annotations has no finding.
"""

from saltrust.datasets.annotations import coco, voc, yolo
from saltrust.datasets.annotations.parts import FORMATS

__all__ = ["FORMATS", "coco", "voc", "yolo"]
