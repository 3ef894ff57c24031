"""What the code did: where a paper's text and its authors' code part, each finding with a demonstration that runs.

A demonstration is a function of a study that returns two numbers: as a reader of the text would have it, and as the
code had it. Everything else is held as the study's protocol has it. Findings about a network's maps use the study's own
images, maps and truth; those about Tjoa & Guan's generator and score draw what they need.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from saltrust.artefacts.maps import SaliencyMaps
from saltrust.core.progress import track
from saltrust.core.registry import Registry
from saltrust.study.study import Study

Demonstration = Callable[[Study], tuple[float, float]]
Maps = Callable[[Study], Sequence[SaliencyMaps]]


@dataclass(frozen=True)
class Finding:
    """A place where text and code part. title, text (what it says), code (what it did), measure (what is measured): for
    a table. paper: whose text and code, or which library. demonstrate: study -> the measure as in the text, and as in
    the code. maps: study -> the maps that it needs beside those of the paper's methods on the main network and its
    replicate."""

    title: str
    paper: str
    text: str
    code: str
    measure: str
    demonstrate: Demonstration
    maps: Maps


FINDINGS: Registry[Finding] = Registry("finding of the audit")


def _finding(
    paper: str, title: str, *, text: str, code: str, measure: str, maps: Maps = lambda study: ()
) -> Callable[[Demonstration], Demonstration]:
    def add(demonstrate: Demonstration) -> Demonstration:
        FINDINGS.register(demonstrate.__name__)(Finding(title, paper, text, code, measure, demonstrate, maps))
        return demonstrate

    return add


def audit(study: Study) -> pd.DataFrame:
    """Every finding, demonstrated: name, finding, paper, text, code, measure, as_text, as_code."""
    rows = []
    for name, found in track(FINDINGS.items(), "audit", len(FINDINGS)):
        as_text, as_code = found.demonstrate(study)
        rows.append(
            {
                "name": name,
                "finding": found.title,
                "paper": found.paper,
                "text": found.text,
                "code": found.code,
                "measure": found.measure,
                "as_text": float(as_text),
                "as_code": float(as_code),
            }
        )
    return pd.DataFrame(rows)
