"""What lies beside each stored artefact: what it is, what it was made from and with, and a checksum of every file."""

import hashlib
import json
import os
import platform
import subprocess
import sys
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from saltrust.core import paths
from saltrust.core.errors import SaltrustError

SIDECAR = "sidecar.json"
FIELDS = {"spec", "work", "upstream", "made", "seconds", "environment", "checksums"}  # of every sidecar, and its own


class StorageError(SaltrustError):
    """Nothing can be stored: the disk is full, or the folder cannot be written or locked. Or what is stored cannot be
    read, which says nothing about whether it is whole."""


def flaw(folder: Path) -> str:
    """What is wrong with a stored artefact, "" with one that is whole. Reads every byte.

    Raises StorageError where a file cannot be read: for want of rights, of a connection or of file handles it may be
    whole all the same.
    """
    try:
        note = json.loads((folder / SIDECAR).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return f"has no readable {SIDECAR}"
    except OSError as error:
        raise unreadable(folder, error) from error
    if not (isinstance(note, dict) and set(note) >= FIELDS and note == sealed(note)):
        return f"differs in {SIDECAR}"
    try:
        expected, found = note["checksums"], checksums(folder)
    except FileNotFoundError as error:  # it is being deleted
        return f"cannot be read ({error})"
    except OSError as error:
        raise unreadable(folder, error) from error
    wrong = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
    return f"differs in {', '.join(wrong)}" if wrong else ""


def unreadable(folder: Path, error: OSError) -> StorageError:
    why = f"{error.strerror}: {error.filename}" if error.filename else str(error)
    return StorageError(
        f"cannot read {folder} ({why}); whether it is whole is not known, and nothing is deleted: "
        "see to the file, or try again"
    )


def sealed(note: dict[str, Any]) -> dict[str, Any]:
    """A sidecar with the checksum of everything else that it says."""
    told = {name: value for name, value in note.items() if name != "checksum"}
    return told | {"checksum": _blake2(json.dumps(told, sort_keys=True).encode()).hexdigest()}


_blake2 = partial(hashlib.blake2b, digest_size=16)


def checksums(folder: Path) -> dict[str, str]:
    """BLAKE2 checksum of every file but the sidecar, by name relative to the folder. Hidden ones are no part of any
    artefact: a system left them (.DS_Store, .nfs0001)."""
    found = {}
    for place, folders, names in os.walk(folder, onerror=_raised):  # rglob passes over what it may not read
        folders[:] = [name for name in folders if name[0] != "."]
        for file in (Path(place, name) for name in names if name[0] != "." and name != SIDECAR):
            with file.open("rb") as stream:
                name = file.relative_to(folder).as_posix()
                found[name] = hashlib.file_digest(stream, _blake2).hexdigest()
    return dict(sorted(found.items()))


def _raised(error: OSError) -> None:
    raise error


@cache
def commit() -> str:
    """The project's git commit, marked when the working tree differs from it."""
    if paths.INSTALLED:  # the folder may lie in another project's clone
        return "not a git checkout"
    describe = ["git", "-C", str(paths.PROJECT), "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(describe, capture_output=True, text=True, check=False).stdout.strip() or "not a git checkout"


@cache  # reading a package's metadata takes milliseconds, and every artefact asks
def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("saltrust", "numpy", "torch", "torchvision", "scikit-image")}


def environment() -> dict[str, str]:
    """Versions, device, threads and commit under which an artefact is made.

    threads: on which the last bits of every sum depend; a training takes one (`training.deterministic`).
    """
    torch = sys.modules.get("torch")
    device = "cpu"
    if torch is not None and torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    return {
        **_versions(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "device": device,
        "threads": str(torch.get_num_threads() if torch else os.environ.get("OMP_NUM_THREADS", os.cpu_count())),
        "commit": commit(),
    }
