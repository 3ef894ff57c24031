"""Temporary folders of a process: gone with it, or told apart once it was killed."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from saltrust.core.interruption import uninterrupted

LOCK = ".lock"  # in a folder; held as long as the process lives that it is of
NAME = "saltrust-tmp-"  # before eight characters
SHORT = "/tmp"
LONGEST = 60  # characters of a folder in which sockets can lie; their whole path may have 107


@contextmanager
def folder(sockets: bool = False) -> Iterator[Path]:
    """A new folder, gone with the block.

    Args:
        sockets: whether sockets will lie there, whose paths must be short.
    """
    from filelock import FileLock  # imports asyncio, which commands that need no folder need not wait for

    place = SHORT if sockets and len(tempfile.gettempdir()) >= LONGEST else None
    made = None
    try:
        with uninterrupted():
            made = Path(tempfile.mkdtemp(prefix=NAME, dir=place))
        with FileLock(made / LOCK):
            yield made
    finally:
        if made:
            with uninterrupted():
                shutil.rmtree(made, ignore_errors=True)


def folders() -> list[Path]:
    """All such folders of this user, in use or left by a process that was killed."""
    places = dict.fromkeys((tempfile.gettempdir(), SHORT))
    found = [path for place in places for path in sorted(Path(place).glob(f"{NAME}????????"))]
    return [path for path in found if path.lstat().st_uid == os.getuid() and os.path.isfile(path / LOCK)]
