"""The audit: where a paper's text and its authors' code part, each finding with a demonstration that runs.

A demonstration is a function of a study that returns two numbers: as a reader of the text would have it, and as the
code had it. Everything else is held as the study's protocol has it. Findings about a network's maps use the study's own
images, maps and truth; those about Tjoa & Guan's generator and score, and about readers, draw what they need. Shu et
al. have published no code: theirs set the text beside the paper's own numbers. `table` lists them all.
"""
