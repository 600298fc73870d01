"""One booted server: run commands in it, move files, reboot it, cut its power."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.server.lab import registries
from tests.server.lab.disk import Disk
from tests.server.lab.groups import Groups
from tests.server.lab.network import Network
from tests.server.lab.places import PREFIX, SEARCH, LabError, host, store
from tests.server.lab.record import ServerRecord, birth
from tests.support.waiting import until

BOOT = """
    for group in "$@"; do [ "$group" = -- ] && break; echo $$ > "$group/cgroup.procs"; shift; done; shift
    exec setsid --fork "$@" < /dev/null > "$LOG" 2>&1
"""
HOSTS, ANCHOR = "/etc/hosts", "/usr/local/share/ca-certificates/lab.crt"
STORE_FILE = 'mkdir -p "$(dirname "$1")" && cat > "$1" && chmod "$2" "$1"'
STOP = signal.SIGRTMIN + 4  # how systemd is told to power off
OF_THE_MACHINE = "CAP_SYS_MODULE,CAP_SYS_TIME"  # its kernel and its clock are not the server's to change
CAREFUL = ("setpriv", "--bounding-set=-sys_module,-sys_time", "--")
PROPAGATED = Path("/run/systemd/nspawn/propagate")  # nspawn leaves a folder there
UP = ("running", "degraded")


@dataclass(frozen=True)
class Done:
    """What a command in the server did."""

    words: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()


class Server:
    def __init__(self, record: ServerRecord) -> None:
        self.record = record
        self.name, self.suite = record.name, record.suite
        self.network = Network(record.lab)
        self.disk = Disk(Path(record.folder), tuple(map(Path, record.lowers)))
        self.groups = Groups(record.name)
        self.space = f"{PREFIX}-{record.name}"
        self.failed_units: tuple[str, ...] = ()
        self.has_bpf = True  # without it IPAddressDeny= does nothing and says nothing, as on many rented containers

    @property
    def address(self) -> str:
        return self.network.address(self.record.index)

    @property
    def address6(self) -> str:
        return self.network.address6(self.record.index)

    # Power

    def boot(self) -> None:
        """Switch it on, and wait until its init says that everything has started."""
        if self.running:
            raise LabError(f"{self.name} is running already")
        if not self.disk.root.is_mount():
            self.disk.mount()
        if not Path(f"/run/netns/{self.space}").exists():
            self.network.plug(self.space, self.record.index)
        self.groups.make()
        self._start()
        self._follow()

    def comes_back(self) -> None:
        """Follow a reboot that was begun inside: nspawn ends with it and leaves the rest to whoever started it."""
        until(lambda: not self.running, f"{self.name} to go down", timeout=120)
        self._settle()
        self.boot()

    def _follow(self) -> None:
        """Find its init, give it what it may have, and wait until everything has started."""
        try:
            leader = until(self._find_leader, f"the first process of {self.name}")
        except AssertionError as error:
            raise LabError(f"{error}\n{self.disk.log.read_text(errors='replace')[-1500:]}") from error
        self._keep(leader)
        self._open_groups()
        state = until(self._is_up, f"{self.name} to have booted", timeout=120, every=0.1)
        self.failed_units = ()
        if state == "degraded":
            listed = self.run(("systemctl", "list-units", "--failed", "--plain", "--no-legend")).lines
            self.failed_units = tuple(line.split()[0] for line in listed)

    def _start(self) -> None:
        nspawn = (
            "systemd-nspawn",
            *("--quiet", "--boot", "--register=no", "--keep-unit", f"--machine={self.name}"),
            *("--directory", str(self.disk.root), f"--network-namespace-path=/run/netns/{self.space}"),
            *(
                "--resolv-conf=copy-host",
                f"--system-call-filter={'' if self.has_bpf else '~'}bpf",
                "--capability=all",
                "--link-journal=no",
            ),
            f"--drop-capability={OF_THE_MACHINE}",
            f"--bind={store()}:{registries.STORE}",
        )
        groups = [str(folder) for folder in self.groups.folders]
        words = ("sh", "-c", BOOT, "boot", *groups, "--", *nspawn)
        environment = {"PATH": SEARCH, "LOG": str(self.disk.log), "SYSTEMD_NSPAWN_TMPFS_TMP": "0"}
        if not self.groups.controllers:
            environment["SYSTEMD_NSPAWN_UNIFIED_HIERARCHY"] = "1"
        subprocess.run(words, check=True, env=environment, stdin=subprocess.DEVNULL)

    def _find_leader(self) -> int:
        """The process that is number 1 inside, once it is the init and no longer what prepares its way."""
        for pid in sorted(self.groups.members()):
            if _numbers(pid)[1:] == [1] and _program(pid) == "systemd":
                return pid
        return 0

    def _open_groups(self) -> None:
        """Let its init set limits: nspawn leaves the controllers read-only."""
        for controller in self.groups.controllers:
            target = f"/sys/fs/cgroup/{controller}"
            words = ("nsenter", "-t", str(self.leader), "-m", "-C", "mount", "-o", "remount,rw,bind", target)
            host(words)
        until(lambda: self._systemctl("daemon-reexec").returncode == 0, f"the init of {self.name}", every=0.1)

    def _is_up(self) -> str:
        said = self._systemctl("is-system-running").stdout.strip()
        return said if said in UP else ""

    def _systemctl(self, word: str) -> Done:
        return self.run(("systemctl", word), check=False)

    def stop(self) -> None:
        """Shut it down as its owner would. The disk stays."""
        if self.running:
            os.kill(self.leader, STOP)
            until(lambda: not self.running, f"{self.name} to power off", timeout=120)
        self._settle()

    def power_cut(self) -> None:
        """Everything stops at once, nothing is told. The disk stays."""
        if self.running:
            os.kill(self.leader, signal.SIGKILL)
        self._settle()

    def reboot(self) -> None:
        self.stop()
        self.boot()

    def _settle(self) -> None:
        """Wait until no process is left, and clear what a next boot would trip over."""
        for pid in self.groups.members() if not self.running else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ended = f"the processes of {self.name} to end"  # one that waits for the disk ends when it was served
        until(lambda: not self.groups.members(), ended, timeout=150)
        self.groups.remove()
        self._keep(0)

    def close(self) -> None:
        """Nothing is left of it: processes, groups, network, disk, record."""
        if self.running:
            self.power_cut()
        self._settle()
        self.network.unplug(self.space, self.record.index)
        self.disk.remove()
        shutil.rmtree(PROPAGATED / self.name, ignore_errors=True)
        self.record.file.unlink(missing_ok=True)

    def freeze(self, label: str) -> None:
        """Shut it down and keep its state for others to start from. It may be booted again."""
        self.stop()
        self.disk = self.disk.freeze(label, self.suite)
        lowers = tuple(map(str, self.disk.lowers))
        self.record = ServerRecord(**{**vars(self.record), "lowers": lowers})
        self.record.save()

    @property
    def running(self) -> bool:
        return bool(self.leader and birth(self.leader) == self.record.born)

    @property
    def leader(self) -> int:
        return self.record.leader

    def _keep(self, leader: int) -> None:
        self.record = self.record.led_by(leader)
        self.record.save()

    # Inside

    def enter(self, words: Sequence[str], *, user: str = "") -> tuple[str, ...]:
        """The words that, on this machine, run these in the server."""
        if not self.running:
            raise LabError(f"{self.name} is not running")
        as_user = ("runuser", "-u", user, "--") if user else ()
        return (*CAREFUL, "nsenter", "-t", str(self.leader), "-a", "--", *as_user, *words)

    def run(
        self,
        words: Sequence[str] | str,
        *,
        check: bool = True,
        input: str | bytes | None = None,
        timeout: float = 300,
        env: Mapping[str, str] | None = None,
        user: str = "",
    ) -> Done:
        """Run a command in the server; a text is a line for its shell."""
        line = ("bash", "-c", words) if isinstance(words, str) else tuple(words)
        given = input.encode() if isinstance(input, str) else input or b""
        environment = registries.environment() | dict(env or {})
        process = subprocess.Popen(
            self.enter(line, user=user),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
        with process:
            try:
                out, err = process.communicate(given, timeout)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        done = Done(line, process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
        if check and done.returncode:
            said = done.stdout[-4000:] + done.stderr[-4000:]
            raise LabError(f"in {self.name}: {shlex.join(line)}: status {done.returncode}\n{said}")
        return done

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Put a file there, root's; folders above it are made."""
        self.run(("sh", "-c", STORE_FILE, "store", path, f"{mode:o}"), input=content)

    def read(self, path: str) -> str:
        return self.run(("cat", path)).stdout

    def finds(self, name: str, address: str) -> None:
        """From now on the server finds this name at this address, as if it were in the DNS."""
        others = [line for line in self.read(HOSTS).splitlines() if name not in line.split()[1:]]
        self.write(HOSTS, "\n".join((*others, f"{address}\t{name}", "")))

    def trusts(self, authority: str) -> None:
        """Add an authority to those of the whole server, as its administrator would."""
        self.write(ANCHOR, authority)
        self.run(("update-ca-certificates",))


def _numbers(pid: int) -> list[int]:
    """What a process is called in each namespace, the outermost first."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return []
    line = next((line for line in text.splitlines() if line.startswith("NSpid:")), "")
    return [int(word) for word in line.split()[1:]]


def _program(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""
