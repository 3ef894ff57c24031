"""`python -m benchmarks [NAME ...]`: run the benchmarks, print a table and, where all ran, write the results."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.harness import SIZES, load, machine, measure, table
from saltrust.core.errors import SaltrustError
from saltrust.core.paths import RESULTS


def main() -> int:
    """Returns the exit status: 1 where outputs differ. A ratio that is missed is a finding, not a failure."""
    benchmarks = load()
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which (default: all): {', '.join(benchmarks)}")
    parser.add_argument("--size", default="full", choices=SIZES, help="how much work (default: full)")
    parser.add_argument("--threads", type=int, default=1, help="of torch, for both sides (default: 1)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of benchmarks.json (default: results)")
    choices = parser.parse_args()
    try:
        builders = {name: benchmarks[name] for name in choices.names or benchmarks}
    except SaltrustError as error:
        parser.error(str(error))
    torch.set_num_threads(choices.threads)
    about, rows = machine(choices.size), []
    for number, (name, build) in enumerate(builders.items(), 1):
        print(f"[{number}/{len(builders)}] {name} ...", end=" ", file=sys.stderr, flush=True)
        rows.append(measure(build(SIZES[choices.size])))
        print(f"{rows[-1].ratio:.2f}", file=sys.stderr, flush=True)
    print(f"{about['cpu']} ({about['instructions']}), {about['cores']} cores, {about['torch_threads']} threads")
    print(table(rows))
    if not choices.names:
        choices.out.mkdir(parents=True, exist_ok=True)
        for file, content in (("benchmarks.json", [asdict(row) for row in rows]), ("benchmarks_machine.json", about)):
            (choices.out / file).write_text(json.dumps(content, indent=1), encoding="utf-8")
    return 0 if all(row.agree for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
