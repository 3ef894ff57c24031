"""A study (floor 4): one data set, one profile, one protocol; from images over networks and maps to the criteria.

The package may import `artefacts`, the libraries and `core`. It decides which artefacts answer the papers' questions,
and asks the store for them. It computes no map and no score itself: what is worth computing once is an artefact.
"""
