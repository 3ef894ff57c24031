"""Figures (floor 6). Every function takes numbers or images and returns a Figure; nothing is computed or saved.

The package may import all below, and is the only one that draws with matplotlib. Styles are said once, in `style`. A
chapter saves a figure with its caption and alternative text, so that no figure is without them.

Where the figures of the papers are:

- Arun et al.: Fig. 1 `four_questions` (images.py); Fig. 2a-b `score_boxes`, Fig. 3a `cascade_curves`, Fig. 4a-b
  `stability_boxes` (scores.py); the maps of Fig. 2 to 4 `map_grid` (images.py); Table 2 `verdict_matrix` (verdicts.py).
- Tjoa & Guan: Fig. 1 `workflow`, Fig. 2 `truth_grid` (cells.py); Fig. 3 `five_band_scores`, Fig. 4 `five_band_roc`,
  Fig. 5 `colour_channels`, Fig. 6 `band_grid`, the appendix's galleries `signed_map_gallery` and its Fig. 1
  `depth_scores` (five_band.py).
- Shu et al.: Fig. 2 `distance_graph`, Fig. 3 `f1_boxes` (alarm.py).
- Venkatesh et al.: Fig. 2 `score_boxes` (scores.py); Fig. 3 `likeness_of_networks`, the cascades `random_stages`, the
  strips of the supplement `mode_strip` (readers.py).
- The review: Fig. 9 `signed_rows` (shapley.py).
"""

from saltrust.plots.alarm import (
    auroc_by_finding,
    choice_curve,
    distance_graph,
    f1_boxes,
    gains_by_alarm,
    risk_coverage_curves,
    roc_by_finding,
    shift_curves,
    together,
)
from saltrust.plots.cells import truth_grid, workflow
from saltrust.plots.claims import claim_answers
from saltrust.plots.five_band import (
    band_grid,
    branch_traces,
    colour_channels,
    depth_scores,
    five_band_roc,
    five_band_scores,
    rank_agreement,
    show_bands,
    show_grades,
    show_signed_map,
    signed_map_gallery,
)
from saltrust.plots.images import four_questions, image_grid, map_grid, outline, show_image, show_map
from saltrust.plots.mixed_models import paired_differences, pairwise_matrix, residual_checks
from saltrust.plots.multiverse import choice_bars, share_matrix, sorted_curves, specification_curve
from saltrust.plots.readers import (
    by_training_share,
    consensus_bars,
    drawings,
    likeness_of_networks,
    mode_strip,
    random_stages,
)
from saltrust.plots.report_card import report_card_figure
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
from saltrust.plots.shapley import error_by_passes, falls_by_method, likeness_of_kinds, signed_rows
from saltrust.plots.shortcut import logit_changes, two_trainings
from saltrust.plots.style import EDGE, FAIL, GRADE_MARKS, MAP, PASS, TRUTH, UNDECIDED, WIDTH
from saltrust.plots.verdicts import verdict_matrix
