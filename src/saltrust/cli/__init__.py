"""The command line (floor 8): `saltrust run`, `publish`, `plan`, `assess` and the rest.

The package may import everything, and nothing imports it. A command parses its arguments, calls one function of a floor
below and prints what that returns. What a command can do, a notebook can do as well.
"""
