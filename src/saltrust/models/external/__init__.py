"""Classifiers that were trained elsewhere: `loading` makes them ready to be explained, the rest is what that needs."""
