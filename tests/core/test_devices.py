"""How many images go through a network at once."""

import pytest
import torch

from saltrust.core import devices
from saltrust.core.devices import LARGEST, batch_that_fits, device, device_name, instructions, measured_batch

GIB = 2**30


@pytest.mark.parametrize(
    ("free", "per_image", "batch"),
    [(10 * GIB, GIB, 8), (GIB, 10 * GIB, 1), (80 * GIB, GIB // 100, LARGEST), (0, GIB, 1), (GIB, 0, LARGEST)],
)
def test_the_batch_fits_the_free_memory(free, per_image, batch):
    assert batch_that_fits(free, per_image) == batch


def test_memory_is_that_of_one_image_after_a_first_run(monkeypatch):
    """A GPU that claims 3 GiB of workspace once, and 0.5 GiB for each image, and has 9 GiB left."""
    state = {"held": GIB, "peak": 0, "runs": 0}

    def run_one():
        state["held"] += 3 * GIB if not state["runs"] else 0
        state["runs"] += 1
        state["peak"] = max(state["peak"], state["held"] + GIB // 2)

    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda where: state["held"])
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda where: state["peak"])
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda where: state.update(peak=0))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda where: (9 * GIB, 16 * GIB))
    assert measured_batch(torch.device("cuda"), run_one) == int(9 * devices.SHARE / 0.5)
    assert state["runs"] == 2


def test_the_device_is_the_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device().type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device().type == "cpu"


def test_the_device_has_a_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA X")
    assert device_name() == "NVIDIA X"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for threads, name in ((1, "1 processor thread"), (2, "2 processor threads")):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert device_name() == name


@pytest.mark.parametrize(
    ("has", "named"),
    [
        ({"amx_bf16": True, "avx512_bf16": True, "avx512_f": True, "avx2": True}, "AMX, AVX-512 BF16, AVX-512, AVX2"),
        ({"amx_bf16": False, "avx2": True}, "AVX2"),
        ({"architecture": "aarch64"}, "none known"),
    ],
)
def test_the_instructions_of_a_processor_are_named(has, named, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert instructions() == named
