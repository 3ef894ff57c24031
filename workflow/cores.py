"""Print how the work on a book shares this machine: `JOBS THREADS WORKERS`.

JOBS chapters run side by side, each with so many THREADS; before them, for each data set, so many WORKERS of one thread
fill the store. cores.py JOBS WORKERS DATASET...: the first two as the user gave them, or "". The number of `make -j` is
taken from MAKEFLAGS. Together they never take more than the cores that this process may use.
"""

import math
import os
import sys
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of processor time in a period
GPU = Path("/dev/nvidia0")
LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container: bytes
OF_A_WORKER = 3e9  # bytes of memory: some 2e9 for a training in `quick`, and store.MEMORY


def available(quota: Path = QUOTA) -> int:
    """Cores that this process may use: those it is bound to (taskset, a scheduler), or fewer by a container's quota."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share, period = quota.read_text().split() if quota.is_file() else ("max", "1")
    return bound if share == "max" else max(1, min(bound, int(share) // int(period)))


def asked(jobs: str, makeflags: str) -> int | None:
    """Chapters side by side that the user asked for: by JOBS=n, or by `make -jn`. None where it is left to us: neither,
    or `make -j` without a number."""
    if jobs:
        return whole("JOBS", jobs, 1)
    options = makeflags.partition(" -- ")[0].split()
    return next((int(word[2:]) for word in options if word.startswith("-j") and word != "-j"), None)


def whole(name: str, text: str, least: int) -> int:
    """The number that a variable of make was given. Ends the process for anything else."""
    if not (text.isdecimal() and int(text) >= least):
        sys.exit(f"{name}={text}: must be a whole number, {least} or more")
    return int(text)


def shared(cores: int, jobs: int | None, datasets: int) -> tuple[int, int]:
    """Chapters side by side, and the threads of each.

    One for each data set where nothing else was asked for, as the chapters of one data set mostly build on each other.
    """
    jobs = max(1, min(cores, jobs or datasets))
    return jobs, cores // jobs


def memory(limit: Path = LIMIT) -> float:
    """Bytes of memory that this process may use: the machine's, or fewer in a container; without end if not known."""
    try:
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        installed = math.inf
    told = limit.read_text().strip() if limit.is_file() else "max"
    return installed if told == "max" else min(installed, int(told))


def workers(cores: int, datasets: int, room: float, gpu: bool) -> int:
    """Workers for each data set, where the user does not say. room: bytes of memory.

    On a processor a training takes one thread, so that the other cores of a data set would have nothing to do. One
    worker alone would be no faster than the chapters, and a GPU is full with what those run.
    """
    fit = int(min(cores, room // OF_A_WORKER)) // max(1, datasets)
    return fit if fit > 1 and not gpu else 0


def main(jobs: str, given: str, *datasets: str) -> None:
    wanted = asked(jobs, os.environ.get("MAKEFLAGS", ""))
    fill = whole("WORKERS", given, 0) if given else workers(available(), len(datasets), memory(), GPU.exists())
    if fill and not wanted:  # chapters that only read what workers have stored have no use for threads
        wanted = available()
    print(*shared(available(), wanted, len(datasets)), fill)


if __name__ == "__main__":
    main(*sys.argv[1:])
