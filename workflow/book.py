"""Snakemake, which else answers a request to end by a traceback while it is imported and while it plans."""

import sys

from saltrust.core import interruption

if __name__ == "__main__":
    interruption.end_at_once()

    from snakemake.cli import main

    sys.exit(main())
