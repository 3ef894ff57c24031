"""What is asked of a study: functions from a study, or from frames of its scores, to tables. Figures are plots' work.

May import: study and what lies below it; not chapters, which are its neighbour.
"""
