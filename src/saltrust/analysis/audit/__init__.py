"""The audit: where a paper's text and its authors' code part. Importing this package fills `finding.FINDINGS`."""

from saltrust.analysis.audit import arun, libraries, tjoa

__all__ = ["arun", "libraries", "tjoa"]
