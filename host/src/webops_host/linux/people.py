"""System users of deployments: numbers from a range of their own, so that a firewall rule can name them all. They are
remembered here, so that none is given twice.
"""

from __future__ import annotations

import grp
import hashlib
import json
import pwd
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from webops_host import codec, files, runner
from webops_host.command import Command
from webops_host.errors import HostError, NotFound
from webops_host.linux.uids import FIRST_UID, UIDS
from webops_host.names import DeploymentName

LONGEST = 32  # letters of a user's name (useradd(8))
ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


def user_of(name: DeploymentName) -> str:
    """The user's and group's name: derived, and different for every deployment."""
    plain = f"wo-{name}"
    return plain if len(plain) <= LONGEST else f"wo-{name[:20]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class Registry:
    """As it is on disk. `last` is the number given last; `since` says when each deployment came (Unix time)."""

    users: Mapping[DeploymentName, int] = field(default_factory=dict)
    last: int = FIRST_UID - 1
    since: Mapping[DeploymentName, float] = field(default_factory=dict)

    def with_user(self, name: DeploymentName) -> Registry:
        if name in self.users:
            return self
        taken, span = set(self.users.values()), UIDS[1] - FIRST_UID + 1
        for step in range(1, span + 1):
            uid = FIRST_UID + (self.last - FIRST_UID + step) % span
            if uid not in taken:
                return Registry({**self.users, name: uid}, uid, {**self.since, name: time.time()})
        raise HostError("Every user number is taken.", hint="Remove a deployment.")

    def without(self, name: DeploymentName) -> Registry:
        users = {other: uid for other, uid in self.users.items() if other != name}
        return Registry(users, self.last, {other: at for other, at in self.since.items() if other != name})


class People:
    """The registry, kept in `file`. Its deployments are the only ones this server knows."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._known: tuple[tuple[int, int, int], Registry] | None = None

    def user(self, name: DeploymentName) -> str:
        """The name of its user. Raises NotFound for a deployment that is not here."""
        self.uid(name)
        return user_of(name)

    def uid(self, name: DeploymentName) -> int:
        """Its number. Raises NotFound."""
        found = self._read().users.get(name)
        if found is None:
            raise NotFound(f"There is no deployment {name} on this server.", hint="Deploy it first.")
        return found

    def since(self, name: DeploymentName) -> float:
        """When the deployment came; what was logged under its name before was another's. Raises NotFound."""
        self.uid(name)
        return self._read().since.get(name, 0.0)

    def knows(self, name: DeploymentName) -> bool:
        return name in self._read().users

    def names(self) -> tuple[DeploymentName, ...]:
        return tuple(sorted(self._read().users))

    def ensure(self, name: DeploymentName, home: Path) -> int:
        """Have the user; its number, kept before it is used."""
        with self._lock:
            registry = self._read().with_user(name)
            self._keep(registry)
        uid = registry.users[name]
        user = user_of(name)
        if not _exists(user):
            words = ("--gid", str(uid), "--", user)
            if not _group_exists(user):
                runner.run(Command(("/usr/sbin/groupadd", *words), env=ENV))
            account = (
                "--uid", str(uid), "--gid", str(uid), "--no-create-home", "--no-log-init", "--no-user-group",
                f"--home-dir={home}", "--shell=/usr/sbin/nologin", "--comment=WebOps deployment", "--", user,
            )  # fmt: skip
            runner.run(Command(("/usr/sbin/useradd", *account), env=ENV))
        return uid

    def remove(self, name: DeploymentName) -> None:
        """Remove the user. Its number is not given again until all others were. Absent is fine."""
        user = user_of(name)
        if _exists(user):
            runner.run(Command(("/usr/sbin/userdel", "--", user), env=ENV))
        if _group_exists(user):
            runner.run(Command(("/usr/sbin/groupdel", "--", user), env=ENV))
        with self._lock:
            self._keep(self._read().without(name))

    def _read(self) -> Registry:
        """As it is on disk now. Each change makes another file, so the same one is understood only once: each release
        asks many times, and a registry of a thousand takes a while."""
        try:
            found = self._file.stat()
        except FileNotFoundError:
            return Registry()
        mark, known = (found.st_ino, found.st_mtime_ns, found.st_size), self._known
        if known is None or known[0] != mark:
            known = self._known = (mark, codec.load(Registry, json.loads(self._file.read_bytes())))
        return known[1]

    def _keep(self, registry: Registry) -> None:
        if registry != self._read():
            files.write_whole(self._file, json.dumps(codec.dump(registry)).encode())


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _group_exists(group: str) -> bool:
    try:
        grp.getgrnam(group)
    except KeyError:
        return False
    return True
