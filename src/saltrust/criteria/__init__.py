"""The four criteria of trust. Each is a function from artefacts to a tidy frame: image x method x model x score."""
