"""One name, several libraries: the same method by each on the same images, and the smallest examples of a difference.

`comparison` has the maps, `examples` the networks of a few numbers.
"""
