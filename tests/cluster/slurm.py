"""A Slurm of several nodes on one machine, all of it in one folder, for as long as a command runs.

    python tests/cluster/slurm.py make book EXECUTOR=slurm PROFILE=smoke

Each node is a slurmd with a port of its own. Nothing outside the folder is written, and no service of the system is
used; whoever runs it is its user, root or not.
"""

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

PACKAGES = {"munged": "munge", "slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "sbatch": "slurm-wlm"}
NODE = "TEST_SLURM_NODE"  # environment variable by which the processes of a node are found
PATH = f"{os.environ['PATH']}:/usr/sbin"
STARTUP = 30.0  # seconds within which every node is ready

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdSpoolDir={folder}/spool-%n
SlurmdPidFile={folder}/%n.pid
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SlurmdTimeout=10
KillWait=5
MinJobAge=3600
ReturnToService=2
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/finished.txt
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """What is to be installed first, as a sentence; empty where everything is there."""
    packages = sorted({package for program, package in PACKAGES.items() if not shutil.which(program, path=PATH)})
    return f"no Slurm here: apt-get install --no-install-recommends {' '.join(packages)}" if packages else ""


class Slurm:
    """The nodes d1, d2, ... of one processor each, running inside a `with` block; `environment` reaches them."""

    def __init__(self, folder: Path, nodes: int = 2):
        self.folder, self.nodes = folder, [f"d{k + 1}" for k in range(nodes)]
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": f"{folder}/bin:{PATH}"}
        self.daemons: list[subprocess.Popen] = []

    def __enter__(self) -> "Slurm":
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception) -> None:
        """End every process that was told of this Slurm: daemons, jobs, commands that were given `environment`."""
        self._kill({"SLURM_CONF": self.environment["SLURM_CONF"]})

    def ask(self, *command: str) -> str:
        """Output of a command of Slurm. Raises CalledProcessError where it fails."""
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True).stdout

    def finished(self) -> list[dict[str, str]]:
        """What Slurm noted of each execution of a job that has ended: JobId, JobState, NodeList, StartTime, ...; one
        that a failed node cut short and the next one of the same job are two."""
        file = self.folder / "finished.txt"
        lines = file.read_text().splitlines() if file.exists() else []
        return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]

    def start(self, node: str) -> None:
        """Start a node; also one that failed, which then gets jobs again."""
        self._daemon("slurmd", "-D", "-N", node, name=node)

    def cut(self, node: str) -> int:
        """End a node as a power cut would, with all that runs on it; returns how many processes of jobs that were."""
        self._kill({NODE: str(self.folder / node)})
        return self._kill({"SLURMD_NODENAME": node, "SLURM_CONF": self.environment["SLURM_CONF"]})

    def running(self, node: str, word: str) -> list[int]:
        """Processes of a node's jobs with this word in their command line."""
        own = {"SLURMD_NODENAME": node, "SLURM_CONF": self.environment["SLURM_CONF"]}
        found = []
        for one in _processes(own):
            with suppress(OSError):  # has ended meanwhile
                found += [one] if word.encode() in (Path("/proc") / str(one) / "cmdline").read_bytes() else []
        return found

    def _start(self) -> None:
        for name in ("bin", "state", *(f"spool-{node}" for node in self.nodes)):
            (self.folder / name).mkdir()
        # Snakemake starts srun without SLURM_CONF, as clusters have their configuration where Slurm looks for it.
        srun = self.folder / "bin" / "srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        (self.folder / "slurm.conf").write_text(self._configuration())
        own = [f"--{name}-file={self.folder}/munge.{name}" for name in ("key", "pid", "log", "seed")]
        # munged does not like folders under /tmp, which anyone may write to: --force.
        self._daemon("munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket", *own)
        _wait((self.folder / "munge.socket").exists, "munged")
        self._daemon("slurmctld", "-D")
        for node in self.nodes:
            self.start(node)
        _wait(self._ready, "nodes")

    def _configuration(self) -> str:
        host = socket.gethostname()
        port, *ports = _free_ports(1 + len(self.nodes))
        nodes = "\n".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={own} CPUs=1 RealMemory=64000"
            for node, own in zip(self.nodes, ports, strict=True)
        )
        return CONFIGURATION.format(host=host, port=port, user=getpass.getuser(), folder=self.folder, nodes=nodes)

    def _daemon(self, program: str, *options: str, name: str | None = None) -> None:
        name = name or program
        environment = self.environment | {NODE: str(self.folder / name)}
        with (self.folder / f"{name}.out").open("w") as out:
            streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": subprocess.STDOUT}
            command = [shutil.which(program, path=PATH), *options]
            self.daemons.append(subprocess.Popen(command, env=environment, start_new_session=True, **streams))

    def _ready(self) -> bool:
        try:
            return self.ask("sinfo", "--noheader", "--Node", "--format=%t").split() == ["idle"] * len(self.nodes)
        except subprocess.CalledProcessError:
            return False

    def _kill(self, variables: dict[str, str]) -> int:
        """End all processes with these variables in their environment, and what they start meanwhile."""
        ended = set()
        while found := set(_processes(variables)):
            for process in found:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            ended |= found
            time.sleep(0.1)
            for daemon in self.daemons:
                daemon.poll()  # else it would stay, as a zombie
        return len(ended)


def _processes(variables: dict[str, str]) -> Iterator[int]:
    wanted = {f"{name}={value}".encode() for name, value in variables.items()}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # has ended, or is another user's
            if wanted <= set((folder / "environ").read_bytes().split(b"\0")):
                yield int(folder.name)


def _wait(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + STARTUP
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} not ready after {STARTUP:.0f} s")
        time.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whatever ends us, the daemons go first
    if message := missing():
        sys.exit(message)
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, Slurm(Path(folder)) as slurm:
        return subprocess.run(sys.argv[1:], env=slurm.environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
