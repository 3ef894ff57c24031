"""`python -m benchmarks.memory SIDE SAMPLES STEPS`: make one Smooth-IG map, print this process's peak in MiB."""

import resource
import subprocess
import sys
from functools import partial

from benchmarks.inputs import network, network_inputs
from saltrust.methods.explained import Explained
from saltrust.methods.registry import METHODS


def peak(side: int, samples: int, steps: int) -> int:
    """What the command prints, from a process of its own: the peak of a process never falls again."""
    command = [sys.executable, "-m", "benchmarks.memory", *map(str, (side, samples, steps))]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


if __name__ == "__main__":
    side, samples, steps = map(int, sys.argv[1:])
    smooth_ig = partial(METHODS["smooth_ig"].function, samples=samples, steps=steps)
    smooth_ig(Explained(network()), *network_inputs(1, side))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
