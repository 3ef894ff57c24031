"""Pure functions on arrays: a map against a truth mask, or a map against a map."""
