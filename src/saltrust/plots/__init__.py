"""Figures (floor 6). Every function takes numbers or images and returns a Figure; nothing is computed or saved.

The package may import all below, and is the only one that draws with matplotlib. Styles are said once, in `style`. A
chapter saves a figure with its caption and alternative text, so that no figure is without them.
"""

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
