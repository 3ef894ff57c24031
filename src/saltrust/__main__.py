"""`python -m saltrust` is the command `saltrust`."""

from saltrust.cli import main

main()
