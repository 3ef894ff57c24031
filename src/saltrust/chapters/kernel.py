"""The process in which a notebook runs: interrupted so that it can put aside what it has, and told when it dies."""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

PATIENCE = 120.0  # seconds that an interrupted kernel may take to put aside what it has
BEGUN = 0.5  # seconds after which a cell that was sent to a kernel surely runs there; before, an interruption is lost
ENDED = 10.0  # seconds in which whoever speaks to a kernel notices that it is killed

# Jupyter interrupts every kernel before it ends one, idle as it is, and ipykernel reports that as an error.
NO_FALSE_ALARM = (
    "__import__('logging').getLogger('IPKernelApp').addFilter("
    "lambda record: not str(record.msg).startswith('KeyboardInterrupt caught in kernel'))"
)


class Kernel:
    """A kernel that another thread speaks to.

    nbclient would take the handlers of signals for itself, and lose what a kernel still has to say. From a thread
    other than the main one it cannot, so that the main one decides how a request to end is passed on.

    Attributes:
        cells: how many cells were sent to it; the last of them may still run.
    """

    def __init__(self) -> None:
        self.cells = 0
        self._sent = 0.0
        self._process: subprocess.Popen | None = None
        self._ending = False

    def settings(self, folder: Path) -> dict[str, Any]:
        """How Papermill is to start it. folder: for the sockets that it is spoken to through."""
        from jupyter_client.manager import AsyncKernelManager

        logging.getLogger("papermill").addFilter(_tells_no_death)
        kernel = self

        class Manager(AsyncKernelManager):
            async def start_kernel(self, **given: Any) -> None:
                kernel._unless_ending()
                await super().start_kernel(**given)
                kernel._process = self.provisioner.process

        # Files of its own rather than open TCP ports.
        manager = {"transport": "ipc", "ip": f"{folder}/kernel", "connection_file": f"{folder}/connection.json"}

        def sending(**cell: Any) -> None:  # no method: settings are copied, with all that a method is of
            kernel._unless_ending()
            kernel.cells, kernel._sent = kernel.cells + 1, time.monotonic()

        client = {
            "kernel_manager_class": Manager,
            "on_cell_execute": sending,
            "extra_arguments": [f"--IPKernelApp.exec_lines={NO_FALSE_ALARM}"],
        }
        return {"KernelManager": manager | {"shutdown_wait_time": PATIENCE}, "NotebookClient": client}

    def run(self, speak: Callable[[], Any]) -> None:
        """Speak to the kernel in a thread, and wait until that is done; a request to end is passed on to the kernel.

        Args:
            speak: Starts the kernel by `settings`, has it execute a notebook, and ends it.

        Raises:
            whatever `speak` does.
        """
        done: Future[None] = Future()

        def work() -> None:
            try:
                done.set_result(speak())
            except BaseException as error:
                done.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        try:
            wait([done])  # a thread whose `join` is interrupted counts as ended in some versions of Python
        except KeyboardInterrupt:
            self._end(done)
            raise
        done.result()

    def death(self) -> str:
        """Why it is not there any more, in words; "" where it is, or was ended as it should be."""
        code = self._process.poll() if self._process else None
        if not code:
            return ""
        if code == -signal.SIGKILL:
            return (
                "its kernel was killed (SIGKILL), as a system does that runs out of memory: a smaller --profile needs "
                "less, and so do fewer processes at once (make book JOBS=1)"
            )
        return f"its kernel died ({signal.Signals(-code).name if code < 0 else f'exit code {code}'})"

    def _unless_ending(self) -> None:
        if self._ending:
            raise RuntimeError("the kernel is asked to end")

    def _end(self, done: Future) -> None:
        """Interrupt the cell that runs, so that it can put aside what it has; then, when that takes too long, when
        there is none, or at the next request to end, kill the kernel."""
        self._ending = True
        try:
            if self.cells:
                time.sleep(max(0.0, self._sent + BEGUN - time.monotonic()))
                self._signal(signal.SIGINT)
                wait([done], PATIENCE)
        finally:
            latest = time.monotonic() + ENDED
            while not done.done() and time.monotonic() < latest:
                self._signal(signal.SIGKILL)  # again, as it may just be starting
                wait([done], 0.2)

    def _signal(self, number: int) -> None:
        """To the kernel and what it started: Jupyter gives each kernel a process group."""
        if self._process and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def _tells_no_death(record: logging.LogRecord) -> bool:
    """Of a record of nbclient's; `Kernel.death` tells more."""
    return not str(record.msg).startswith(("Kernel died", "Error occurred while starting new kernel client"))
