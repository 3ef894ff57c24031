"""Print how many chapters run side by side on this machine, and the threads of each: `JOBS THREADS`.

cores.py JOBS DATASET...: JOBS as the user gave it, or "". The number of `make -j` is taken from MAKEFLAGS. Together
they never take more than the cores that this process may use.
"""

import os
import sys
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of processor time in a period


def available(quota: Path = QUOTA) -> int:
    """Cores that this process may use: those it is bound to (taskset, a scheduler), or fewer by a container's quota."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share, period = quota.read_text().split() if quota.is_file() else ("max", "1")
    return bound if share == "max" else max(1, min(bound, int(share) // int(period)))


def asked(jobs: str, makeflags: str) -> int | None:
    """Chapters side by side that the user asked for: by JOBS=n, or by `make -jn`. None where it is left to us: neither,
    or `make -j` without a number."""
    options = makeflags.partition(" -- ")[0].split()
    return next((int(word) for word in (jobs, *(word[2:] for word in options if word.startswith("-j"))) if word), None)


def shared(cores: int, jobs: int | None, datasets: int) -> tuple[int, int]:
    """Chapters side by side, and the threads of each.

    One for each data set where nothing else was asked for, as the chapters of one data set mostly build on each other.
    """
    jobs = max(1, min(cores, jobs or datasets))
    return jobs, cores // jobs


if __name__ == "__main__":
    jobs, *datasets = sys.argv[1:]
    print(*shared(available(), asked(jobs, os.environ.get("MAKEFLAGS", "")), len(datasets)))
