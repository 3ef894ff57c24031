"""Figures. Every function takes numbers or images and returns a Figure; nothing is computed, and nothing is saved."""

import matplotlib.pyplot as plt

from saltrust.plots.images import QUESTIONS, four_questions, image_grid, map_grid, outline, show_image, show_map
from saltrust.plots.scores import (
    cascade_curves,
    class_confusion,
    likeness,
    precision_recall,
    residual_lines,
    roc_curves,
    score_boxes,
    score_matrix,
    similarity_scale,
    stability_boxes,
    training_curves,
)
from saltrust.plots.style import EDGE, FAIL, GRADE_MARKS, MAP, PASS, TRUTH, WIDTH
from saltrust.plots.verdicts import verdict_matrix

__all__ = [
    "plt",
    "EDGE",
    "FAIL",
    "GRADE_MARKS",
    "MAP",
    "PASS",
    "QUESTIONS",
    "TRUTH",
    "WIDTH",
    "cascade_curves",
    "class_confusion",
    "four_questions",
    "image_grid",
    "likeness",
    "map_grid",
    "outline",
    "precision_recall",
    "residual_lines",
    "roc_curves",
    "score_boxes",
    "score_matrix",
    "show_image",
    "show_map",
    "similarity_scale",
    "stability_boxes",
    "training_curves",
    "verdict_matrix",
]
