"""Counts the cases, and says by which command one that failed is repeated."""

from pathlib import Path

import pytest
from hypothesis import settings

from tests.fuzz import guard


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(
            Path(__file__).parent
        ):  # a decoder may complain of a file, and read it all the same
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    before = guard.tried
    try:
        return (yield)
    finally:
        item.user_properties.append(("cases", guard.tried - before))


def pytest_terminal_summary(terminalreporter, config):
    if settings.get_current_profile_name() not in ("fuzz", "shrink"):
        return
    seed = config.getoption("--hypothesis-seed")
    reports = [one for kind in ("passed", "failed") for one in terminalreporter.stats.get(kind, ())]
    cases = sum(dict(one.user_properties).get("cases", 0) for one in reports if one.when == "call")
    terminalreporter.write_line(f"{cases:,} cases with SEED={seed}")
    for one in terminalreporter.stats.get("failed", ()):
        terminalreporter.write_line(f"again, as small as possible: make fuzz SEED={seed} CASE='{one.nodeid}'")
