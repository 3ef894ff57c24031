"""What all tests share."""

import os
import signal
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import settings

# Tests run side by side, a process a core, and what they compute must not depend on how many cores there are. Read by
# torch when it is imported, and by the processes that tests start.
os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}

# No deadline: time says something about the machine, not about the property.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)  # other examples each time: pytest --hypothesis-profile=explore
settings.register_profile("fuzz", deadline=None)  # make fuzz
settings.register_profile("shrink", deadline=None)  # a case of it again
settings.load_profile("repeatable")


# What takes longest begins first, so that no process is left with it at the end.
LONGEST = ("test_determinism.py", "test_needs.py", "test_workflow.py", "test_study.py", "test_execute.py")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(autouse=True, scope="session")
def _own_environment():
    """Tests do not see the settings of a chapter or a user that happen to be in the environment."""
    for name in [name for name in os.environ if name.startswith("SALTRUST_") and name != "SALTRUST_BOOK"]:
        del os.environ[name]


@pytest.fixture(autouse=True, scope="session")
def _interruptible():
    """A job in the background of a shell ignores SIGINT, and so would its children: some tests interrupt them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_profile():
    """A context in which there is a profile "tiny", where every network trains for one step: of `smoke`, with the sizes
    that are given; architectures: those that it trains, by default those of `smoke`."""
    from saltrust.core.profiles import PROFILES, Training

    @contextmanager
    def register(architectures=(), **sizes):
        smoke = PROFILES["smoke"]
        one = Training(epochs=1, patience=1, steps=1, batch_size=4)
        networks = {
            "architectures": dict.fromkeys(architectures or smoke.architectures, one),
            "localizers": dict.fromkeys(smoke.localizers, one),
        }
        PROFILES["tiny"] = replace(smoke, name="tiny", **networks, **sizes)
        yield
        del PROFILES["tiny"]

    return register


@pytest.fixture
def heard():
    """Requests to end are heard also where whoever runs the tests ignores them (nohup, a job in the background)."""
    handlers = dict.fromkeys((signal.SIGTERM, signal.SIGHUP), signal.SIG_DFL)
    handlers[signal.SIGINT] = signal.default_int_handler
    before = {request: signal.signal(request, handler) for request, handler in handlers.items()}
    yield
    for request, handler in before.items():
        signal.signal(request, handler)
