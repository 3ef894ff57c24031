"""Classifiers that were trained elsewhere: `model` makes them ready to be explained, the rest is what that needs.

A model is found by its source (`sources`: a function in a file; `weights`, `torchscript`: a file; `libraries`: a name).
It is tried on a few images (`probe`), wrapped so that it takes and gives what this package does (`model`), and cut into
the stages of a cascade (`stages`).
"""
