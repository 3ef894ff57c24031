"""Where networks run, and how much of a GPU they may fill."""

from collections.abc import Callable

import torch

ON_CPU = 32  # images in a pass; more make it no faster there
LARGEST = 256
SHARE = 0.8  # of the free memory of a GPU that one pass may take


def device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name() -> str:
    """What the device is called: a GPU by its model, a processor by the threads that torch uses."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"{threads} processor thread{'s' * (threads > 1)}"


INSTRUCTIONS = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 BF16", "avx512_f": "AVX-512", "avx2": "AVX2"}
"""What a processor may have that decides how fast networks run, the fastest first."""


def instructions() -> str:
    """Those of INSTRUCTIONS that the processor has, such as "AVX-512, AVX2"; "none known" where it has none."""
    has = torch.cpu.get_capabilities()
    return ", ".join(title for name, title in INSTRUCTIONS.items() if has.get(name)) or "none known"


def batch_that_fits(free: int, per_image: int) -> int:
    """How many images one pass may hold.

    Args:
        free: memory of the device in bytes, of which a pass takes at most SHARE.
        per_image: bytes that one image needs.

    Returns:
        A number from 1 to LARGEST.

    >>> batch_that_fits(free=10_000_000, per_image=1_000_000)
    8
    """
    return max(1, min(LARGEST, int(SHARE * free) // max(per_image, 1)))


def measured_batch(where: torch.device, run_one: Callable[[], object]) -> int:
    """The batch that fits a GPU.

    Args:
        where: the GPU.
        run_one: a pass over one image, whose peak memory is measured.
    """
    run_one()  # workspaces are claimed once, not for each image
    before = torch.cuda.memory_allocated(where)
    torch.cuda.reset_peak_memory_stats(where)
    run_one()
    peak = torch.cuda.max_memory_allocated(where) - before
    torch.cuda.empty_cache()
    return batch_that_fits(torch.cuda.mem_get_info(where)[0], peak)
