"""Requests to end: each raises with its exit code, several at once are one, and some work is not cut short."""

import signal
import subprocess
import sys

import pytest

from saltrust.core import interruption
from saltrust.core.interruption import REQUESTS, Interrupted, interruptible, uninterrupted

pytestmark = pytest.mark.usefixtures("heard")

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.mark.parametrize("request_to_end", REQUESTS)
def test_a_request_raises_with_its_exit_code_and_the_handlers_are_back_afterwards(request_to_end):
    before = [signal.getsignal(one) for one in REQUESTS]
    with pytest.raises(Interrupted) as raised, interruptible():
        signal.raise_signal(request_to_end)
    assert raised.value.exit_code == CODES[request_to_end]
    assert [signal.getsignal(one) for one in REQUESTS] == before


def test_two_at_once_are_one_and_a_later_one_is_another(monkeypatch):
    came = 0
    with interruptible():
        for _ in range(2):
            try:
                signal.raise_signal(signal.SIGTERM)
            except Interrupted:
                came += 1
        assert came == 1
        monkeypatch.setattr(interruption, "SETTLED", 0.0)
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_error_that_a_request_causes_is_the_request():
    with pytest.raises(Interrupted) as raised, interruptible():
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise ImportError("half a module") from None
    assert raised.value.request == signal.SIGTERM
    with pytest.raises(ImportError), interruptible():
        raise ImportError("none at all")


@pytest.mark.parametrize("fails", [False, True])
def test_uninterrupted_work_is_done_before_a_request_is_obeyed(fails):
    done = []
    with pytest.raises(Interrupted), interruptible(), uninterrupted():
        signal.raise_signal(signal.SIGTERM)
        done.append(1)
        if fails:
            raise ValueError
    assert done == [1]


@pytest.mark.parametrize("request_to_end", REQUESTS)
def test_a_program_that_has_only_begun_ends_at_once(request_to_end):
    code = "import signal, sys\nfrom saltrust.core import interruption\ninterruption.end_at_once()\n"
    code += f"signal.raise_signal({int(request_to_end)})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == CODES[request_to_end]
    assert done.stderr == f"saltrust: {Interrupted()}\n"


def test_a_request_is_passed_on_to_what_was_started_in_the_same_group():
    code = """
import signal, subprocess, sys
from saltrust.core import interruption
interruption.pass_on()
started = [subprocess.Popen(["sleep", "60"], start_new_session=own) for own in (False, True)]
try:
    signal.raise_signal(signal.SIGTERM)
except KeyboardInterrupt:
    print(started[0].wait(), started[1].poll(), interruption.passed_on().exit_code)
started[1].kill()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "-15 None 143\n"
