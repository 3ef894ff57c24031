"""The store: each artefact is computed once, written atomically, and checked when it is read.

An artefact lies in `<root>/<kind>/<digest>/` beside `sidecar.json`, which says what it is, what it was made from,
with which
versions, on what device and how long that took, and holds a checksum of every file. A folder appears under its name
only
when it is whole: it is written elsewhere first and then renamed, so a killed run leaves nothing that could be read.
What a long computation has so far, it may keep in `<root>/.unfinished/<kind>-<digest>/` and go on from there.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock

from saltrust import paths
from saltrust.progress import say
from saltrust.specs import Spec

SIDECAR = "sidecar.json"


class DamagedError(Exception):
    """A stored artefact whose files do not match their checksums."""


class Store:
    """Artefacts by spec. `used` lists every spec that this process asked for, in order: the provenance of a page."""

    def __init__(self, root: Path | None = None):
        self.root = Path(root or paths.STORE)
        self.used: dict[str, Spec] = {}
        self._memory: dict[str, Any] = {}

    def folder(self, spec: Spec) -> Path:
        return self.root / spec.kind / spec.digest

    def get(self, spec: Spec, remember: bool = True) -> Any:
        """The artefact's value: from memory, from disk, or computed now and kept.

        Concurrent processes that want the same artefact wait for the first one to finish it. remember: whether the
        value stays in memory.
        """
        digest = spec.digest
        self.used.setdefault(digest, spec)
        if digest in self._memory:
            return self._memory[digest]
        part = partial(self.get, remember=False)  # the parts would stay in memory beside the whole
        value = spec.compute(part) if spec.transient else self._from_disk_or_new(spec)
        if remember:
            self._memory[digest] = value
        return value

    def sidecar(self, spec: Spec) -> dict[str, Any]:
        """What the store noted about a stored artefact."""
        return json.loads((self.folder(spec) / SIDECAR).read_text(encoding="utf-8"))

    def _from_disk_or_new(self, spec: Spec) -> Any:
        folder = self.folder(spec)
        if folder.exists():
            try:
                return self._read(spec)
            except DamagedError as damage:
                warnings.warn(f"{damage}; computing it again", stacklevel=3)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._lock(spec)):
            if folder.exists():  # another process finished it while this one waited, or it is damaged
                try:
                    return self._read(spec)
                except DamagedError:
                    shutil.rmtree(folder)
            self._compute(spec)
        return spec.read(folder)  # also right after computing: what is used is what was stored

    def _lock(self, spec: Spec) -> Path:
        locks = self.root / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        return locks / f"{spec.kind}-{spec.digest}"

    def _compute(self, spec: Spec) -> None:
        folder = self.folder(spec)
        say(f"computing {spec.title()}")
        start = time.perf_counter()
        unfinished = self.root / ".unfinished" / f"{spec.kind}-{spec.digest}"
        value = spec.compute(self.get, **({"unfinished": unfinished} if spec.resumable else {}))
        seconds = time.perf_counter() - start
        for leftover in folder.parent.glob(f".{spec.digest}-*"):  # of a run that was killed; we hold the lock
            shutil.rmtree(leftover)
        temporary = Path(tempfile.mkdtemp(prefix=f".{spec.digest}-", dir=folder.parent))
        try:
            spec.write(value, temporary)
            note = {
                "spec": spec.description(),
                "upstream": [f"{up.kind}/{up.digest}" for up in spec.upstream()],
                "made": datetime.now(UTC).isoformat(timespec="seconds"),
                "seconds": round(seconds, 3),
                "environment": environment(),
                "checksums": checksums(temporary),
            }
            (temporary / SIDECAR).write_text(json.dumps(note, indent=1), encoding="utf-8")
            os.replace(temporary, folder)
            shutil.rmtree(unfinished, ignore_errors=True)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise

    def _read(self, spec: Spec) -> Any:
        folder = self.folder(spec)
        try:
            expected = self.sidecar(spec)["checksums"]
        except (OSError, ValueError, KeyError) as error:
            raise DamagedError(f"{folder} has no readable {SIDECAR}") from error
        if checksums(folder) != expected:
            raise DamagedError(f"{folder} does not match its checksums")
        return spec.read(folder)


def checksums(folder: Path) -> dict[str, str]:
    """BLAKE2 checksum of every file but the sidecar, by name relative to the folder."""
    found = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != SIDECAR:
            with file.open("rb") as stream:
                name = file.relative_to(folder).as_posix()
                found[name] = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    return found


@cache
def commit() -> str:
    """The project's git commit, marked when the working tree differs from it."""
    describe = ["git", "-C", str(paths.PROJECT), "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(describe, capture_output=True, text=True, check=False).stdout.strip() or "not a git checkout"


def environment() -> dict[str, str]:
    """Versions, device and commit under which an artefact is made."""
    packages = {name: version(name) for name in ("saltrust", "numpy", "torch", "torchvision", "scikit-image")}
    torch = sys.modules.get("torch")
    device = "cpu"
    if torch is not None and torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    return {
        **packages,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "device": device,
        "commit": commit(),
    }
