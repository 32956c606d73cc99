"""A real Slurm on this machine, on loopback and in a scratch folder, for tests of batch scripts.

Needs the Debian packages slurm-wlm, slurmctld, slurmd and munge; no root, no systemd, and
nothing of an installed Slurm's configuration. Its node pretends to have `CPUS` CPUs, so that
the tests can wait for several jobs at a time.
"""

import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue", "scancel", "sinfo")
# Debian keeps daemons where the PATH of an ordinary user does not look
SEARCH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
CPUS = 5
START_SECONDS = 30.0
STOP_SECONDS = 10.0

# cred_expire is also how long a requeued job waits, 120 s where it is not given
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={munge}/socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1
JobRequeue=1
KillWait=5
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES PriorityTier=10 PreemptMode=OFF
PartitionName=scavenge Nodes={host} PriorityTier=1 PreemptMode=REQUEUE GraceTime=3
"""


def missing_programs():
    return [name for name in PROGRAMS if shutil.which(name, path=SEARCH) is None]


class SlurmCluster:
    """The daemons, and the user's commands; the folder's path is short, as that of a socket."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.daemons = []
        inherited = {name: x for name, x in os.environ.items() if not name.startswith("SLURM_")}
        configuration = str(self.folder / "slurm.conf")
        self.environment = inherited | {"PATH": SEARCH, "SLURM_CONF": configuration}

    def start(self):
        munge = self.folder / "munge"
        for name in ("munge", "state", "spool"):
            (self.folder / name).mkdir(mode=0o755)
        (munge / "key").write_bytes(secrets.token_bytes(64))
        (munge / "key").chmod(0o600)
        host = socket.gethostname().split(".")[0]
        controller_port, node_port = _free_ports(2)
        (self.folder / "slurm.conf").write_text(
            CONFIGURATION.format(
                host=host, folder=self.folder, munge=munge, user=getpass.getuser(), cpus=CPUS,
                controller_port=controller_port, node_port=node_port,
            )
        )  # fmt: skip
        self._launch(
            "munged", "--foreground", "--force", f"--socket={munge}/socket",
            f"--key-file={munge}/key", f"--pid-file={munge}/pid", f"--log-file={munge}/log",
            f"--seed-file={munge}/seed",
        )  # fmt: skip
        _until((munge / "socket").exists, "munged to open its socket", START_SECONDS)
        self._launch("slurmctld", "-D", "-c")
        self._launch("slurmd", "-D")
        _until(self._is_idle, "the node to become idle", START_SECONDS, self.logs)

    def stop(self):
        try:
            if self.daemons and all(daemon.poll() is None for daemon in self.daemons):
                self._cancel_jobs()
        finally:
            for daemon in reversed(self.daemons):
                _end(daemon)
            self._kill_strays()

    def _cancel_jobs(self):
        mine = ("--quiet", "--user", getpass.getuser())
        self.run("scancel", *mine)
        self.run("scancel", "--signal=KILL", "--full", *mine)
        _until(lambda: not self.run("squeue", "--noheader"), "jobs to end", STOP_SECONDS)

    def _kill_strays(self):
        """Kill steps that outlived their daemons, recognized by their environment."""
        mark = f"SLURM_CONF={self.environment['SLURM_CONF']}".encode()
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mark in path.read_bytes().split(b"\0"):
                    os.kill(int(path.parent.name), signal.SIGKILL)

    def run(self, *words):
        options = {"env": self.environment, "timeout": 60}
        done = subprocess.run(words, capture_output=True, text=True, **options)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}\n{self.logs()}")
        return done.stdout.strip()

    def submit(self, *words, folder):
        """Submit a batch script, options before and its words after it; return the job's number."""
        return int(self.run("sbatch", "--parsable", f"--chdir={folder}", *map(str, words)))

    def facts(self, job):
        words = self.run("scontrol", "show", "job", "--oneliner", str(job)).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def wait_for(self, job, *states, seconds):
        _until(
            lambda: self.facts(job)["JobState"] in states,
            f"job {job} to be {' or '.join(states)}",
            seconds, lambda: f"{self.facts(job)}\n{self.logs()}",
        )  # fmt: skip
        return self.facts(job)

    def logs(self):
        paths = sorted(self.folder.glob("*.log"))
        tails = ["\n".join(path.read_text().splitlines()[-15:]) for path in paths]
        return "\n".join(f"--- {p.name}\n{tail}" for p, tail in zip(paths, tails, strict=True))

    def _launch(self, program, *words):
        path = shutil.which(program, path=SEARCH)
        with (self.folder / f"{program}.log").open("wb") as log:
            options = {"env": self.environment, "stdout": log, "stderr": log}
            self.daemons.append(subprocess.Popen([path, *words], **options))

    def _is_idle(self):
        for daemon in self.daemons:
            if daemon.poll() is not None:
                raise RuntimeError(f"{daemon.args[0]} ended by itself\n{self.logs()}")
        try:
            return set(self.run("sinfo", "--noheader", "--format=%t").split()) == {"idle"}
        except RuntimeError:
            return False


def _end(daemon):
    daemon.terminate()
    try:
        daemon.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _until(true, what, seconds, report=lambda: ""):
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}\n{report()}")
        time.sleep(0.2)


def _free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports
