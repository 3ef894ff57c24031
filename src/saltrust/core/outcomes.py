"""What comes of comparing a method with a baseline: the words that tables, figures and prose have for it.

PASS: the method is better. FAIL: it is not. UNDECIDED: the images that there are cannot tell.
"""

PASS, UNDECIDED, FAIL = "PASS", "UNDECIDED", "FAIL"

OUTCOMES = (PASS, UNDECIDED, FAIL)
"""From the best to the worst."""
