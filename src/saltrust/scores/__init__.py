"""Scores of maps (floor 2): pure functions on arrays.

A map is scored against a truth (`localization`, `auprc`, `five_band`) or against another map (`similarity`), a mask
against another mask (`agreement`), such as a reader's against what others drew (`consensus`).

The package may import `core` and no other library. A score knows nothing of networks, methods or data sets: whatever
gives an array can be scored, and each score is tested against a second implementation. All scores of a kind stand in
one registry (`LOCALIZATION`, `AUPRC`, `SIMILARITY`, `AGREEMENT`), which tables and settings read: a new score is one
function.
"""
