"""Entry point of `saltrust`, and of `python -m saltrust`: a request to end gets its line also while commands are
imported."""

import sys

from saltrust.core.interruption import Interrupted, interruptible, tell


def main() -> None:
    """Do what the command line says, and end the process."""
    try:
        with interruptible():
            from saltrust.cli import main as command

            command()
    except Interrupted as asked:
        tell(asked)
        sys.exit(asked.exit_code)


if __name__ == "__main__":
    main()
