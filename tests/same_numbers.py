"""Do two versions of the code say the same? Compare the results of one with those of the other, to the last digit.

    python tests/same_numbers.py BEFORE AFTER

BEFORE and AFTER are folders of results (SALTRUST_RESULTS) of the same data sets and profiles, made on one machine with
the same number of threads (OMP_NUM_THREADS=1). Compared are every cell of every table but for durations, every number
that the prose quotes, and the weights of every network, whatever the artefacts are called. A chapter that was renamed
is given as OLD=NEW behind the two folders. Prints what differs; the exit code is 1 if anything does.
"""

import csv
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

DURATION = "seconds"  # in the name of a column


def main(before: Path, after: Path, *renamed: str) -> int:
    names = dict(pair.split("=") for pair in renamed)
    differences = [*tables(before, after), *numbers(before, after, names), *networks(before, after)]
    print(*differences, f"{len(differences)} differences", sep="\n")
    return bool(differences)


def tables(before: Path, after: Path) -> Iterator[str]:
    """Tables that differ."""
    for file in sorted(before.glob("*/*/tables/*.csv")):
        name = file.relative_to(before)
        if not (after / name).exists():
            yield f"{name} is missing"
            continue
        first, second = (list(csv.reader(one.open(encoding="utf-8"))) for one in (file, after / name))
        kept = [i for i, heading in enumerate(first[0]) if DURATION not in heading]
        if [[row[i] for i in kept] for row in first] != [[row[i] for i in kept if i < len(row)] for row in second]:
            yield f"{name} differs"


def numbers(before: Path, after: Path, renamed: Mapping[str, str]) -> Iterator[str]:
    """Quoted numbers that differ."""
    for file in sorted(before.glob("*/*/numbers.json")):
        name = file.relative_to(before)
        first, second = (json.loads(one.read_text(encoding="utf-8")) for one in (file, after / name))
        moved = {key.partition("/"): value for key, value in first.items()}
        first = {f"{renamed.get(chapter, chapter)}/{rest}": value for (chapter, _, rest), value in moved.items()}
        for key in sorted(first.keys() | second.keys()):
            if first.get(key) != second.get(key):
                yield f"{name.parent}: {key} is {second.get(key)}, was {first.get(key)}"


def networks(before: Path, after: Path) -> Iterator[str]:
    """How many networks of one version the other one has not."""
    first, second = (Counter(map(digest, root.glob("store/*/*/weights.pt"))) for root in (before, after))
    if first != second:
        yield f"{(first - second).total()} of {first.total()} networks have other weights or are missing"


def digest(file: Path) -> str:
    """Of the weights in a file, by their names."""
    found = hashlib.sha256()
    for name, tensor in sorted(torch.load(file, weights_only=True, map_location="cpu").items()):
        found.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:3]), *sys.argv[3:]))
