"""Other libraries' implementations, as methods like any other: "captum:ig" is what captum makes of our "ig".

A file for each library, which is imported when it is first asked for a map. `library` says what they share. A method
takes the parameters of ours that its library has a meaning for, in our units, and the version of the library, so that a
stored map is never another version's.
"""

from saltrust.methods.libraries import captum, pair, pytorch_grad_cam, zennit

__all__ = ["captum", "pair", "pytorch_grad_cam", "zennit"]
