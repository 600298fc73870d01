"""A machine in a folder: its files are real, its programs do to them what the setup looks at."""

from __future__ import annotations

import io
import re
from pathlib import Path

from webops_host.command import Command
from webops_host.errors import ProgramMissing
from webops_host.runner import Result
from webops_host.values import Console
from webops_install.answers import Answers
from webops_install.facts import Facts, System
from webops_install.journal import Journal
from webops_install.machine import Machine
from webops_install.source import Source
from webops_install.step import Setup

ROOT = Path(__file__).resolve().parents[2]
BOOKWORM = System("debian", "12", "Debian GNU/Linux 12 (bookworm)")
OK = Result(0, "")
FOLDERS = (
    "etc/systemd/system", "etc/tmpfiles.d", "etc/apt/apt.conf.d", "etc/logrotate.d", "etc/fail2ban/jail.d",
    "etc/systemd", "opt", "srv", "var/lib", "var/log", "var/backups", "var/cache", "run", "usr/local/sbin", "root",
)  # fmt: skip
PASSWD = "root:x:0:0::/root:/bin/bash\npostgres:x:107:112::/:/bin/bash\nredis:x:108:113::/:/bin/false\n"
GROUP = "root:x:0:\nadm:x:4:\nwww-data:x:33:\npostgres:x:112:\nredis:x:113:\n"


def quiet() -> Journal:
    return Journal(None, io.StringIO())


class Owners:
    """Remembers who was given what; everything else is root's."""

    def __init__(self) -> None:
        self.given: dict[Path, tuple[int, int]] = {}

    def of(self, path: Path) -> tuple[int, int]:
        return self.given.get(path.resolve().parent / path.name, (0, 0))

    def give(self, path: Path, uid: int, gid: int) -> None:
        name = path.name.removeprefix(".").removesuffix(".new") if path.name.endswith(".new") else path.name
        self.given[path.resolve().parent / name] = (uid, gid)


class Programs:
    """Known programs by name. `dies_at` is the number of a command that is cut short, as by a power cut."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ran: list[tuple[str, ...]] = []
        self.enabled: set[str] = set()
        self.active: set[str] = set()
        self.packages: set[str] = set()
        self.dies_at = 0

    def __call__(self, command: Command, console: Console | None, /) -> Result:
        self.ran.append(command.argv)
        if len(self.ran) == self.dies_at:
            raise KeyboardInterrupt
        words = list(command.argv)
        known = getattr(self, "do_" + Path(words[0]).name.replace("-", "_"), None)
        if known is None:
            raise ProgramMissing(f"The program {words[0]} is not installed here.")
        found: Result = known(words[1:])
        if console is not None:
            for line in found.output.splitlines():
                console.emit(line)
        return found

    def changing(self) -> list[tuple[str, ...]]:
        """Commands that change something."""
        asking = {"is-active", "is-enabled", "show", "dpkg-query", "apt-cache", "-v", "-q", "--version"}
        return [words for words in self.ran if not asking & set(words)]

    # --- what they do ---

    def do_groupadd(self, words: list[str]) -> Result:
        return self._add("etc/group", f"{words[-1]}:x:{900 + len(self.ran)}:")

    def do_useradd(self, words: list[str]) -> Result:
        number = int(words[words.index("--uid") + 1]) if "--uid" in words else 800 + len(self.ran)
        self._add("etc/group", f"{words[-1]}:x:{number}:")
        return self._add("etc/passwd", f"{words[-1]}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin")

    def do_usermod(self, words: list[str]) -> Result:
        _, group, user = words
        place = self.root / "etc/group"
        place.write_text(re.sub(rf"^({group}:x:\d+:)(.*)$", rf"\1\2,{user}", place.read_text(), flags=re.MULTILINE))
        return OK

    def do_systemctl(self, words: list[str]) -> Result:
        verb, units = words[0], {word for word in words[1:] if not word.startswith("-")}
        if verb in ("is-active", "is-enabled"):
            return Result(0 if units <= (self.active if verb == "is-active" else self.enabled) else 3, "")
        if verb == "enable":
            self.enabled |= units
        if verb == "disable":
            self.enabled -= units
        if verb in ("start", "restart", "reload-or-restart"):
            self.active |= units
        if verb == "stop":
            self.active -= units
        return OK

    def do_systemd_tmpfiles(self, words: list[str]) -> Result:
        (self.root / "run/webops").mkdir(exist_ok=True)
        return OK

    def do_dpkg_query(self, words: list[str]) -> Result:
        asked = [word for word in words if not word.startswith("-")]
        return Result(0, "\n".join(f"{name} installed" for name in asked if name in self.packages))

    def do_dpkg(self, words: list[str]) -> Result:
        return OK

    def do_apt_cache(self, words: list[str]) -> Result:
        return Result(100 if "brotli" in words[-1] else 0, "")

    def do_apt_get(self, words: list[str]) -> Result:
        if "install" in words:
            self.packages |= {word for word in words[words.index("install") :] if not word.startswith("-")}
        return OK

    def do_openssl(self, words: list[str]) -> Result:
        if "rand" in words:
            return Result(0, "ab" * 16)
        if "-out" in words:
            Path(words[words.index("-out") + 1]).write_text("-----BEGIN-----\n")
        return OK

    def _add(self, file: str, line: str) -> Result:
        with (self.root / file).open("a") as opened:
            opened.write(line + "\n")
        return OK


def machine(root: Path) -> tuple[Machine, Programs]:
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "etc/passwd").write_text(PASSWD)
    (root / "etc/group").write_text(GROUP)
    programs = Programs(root)
    return Machine(root=root, programs=programs, owners=Owners()), programs


def setup(root: Path, **decided: object) -> tuple[Setup, Programs]:
    made, programs = machine(root)
    answers = Answers(**{"domain": "apps.test", "panel": "panel.apps.test", "addresses": ("192.0.2.7",), **decided})  # type: ignore[arg-type]
    facts = Facts(BOOKWORM, "x86_64", 2048, 2, 20_000, ("192.0.2.7",), False)
    return Setup(made, answers, facts, Source(ROOT, ("pyproject.toml",), "0.1.0-test")), programs
