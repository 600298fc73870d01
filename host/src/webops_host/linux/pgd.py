"""pgd: the daemon for databases. It runs as `postgres`, which is all it needs, and knows one port.

pgd.py              answer on the socket that systemd handed over
pgd.py --prepare    as root, once and again after upgrades: make the PostgreSQL cluster the platform's
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from webops_host import ports
from webops_host.daemon import activated
from webops_host.errors import HostError, NotSupported
from webops_host.fences import FencedHost, Fences, Ports
from webops_host.linux import postgres_prepare
from webops_host.linux.postgres_databases import PostgresDatabases
from webops_host.linux.postgres_passwords import Passwords
from webops_host.names import DeploymentName
from webops_host.operations import Operation, Values
from webops_host.shelf import Shelf


class DatabaseHost(Ports):
    """Satisfies `ports.Host` with one port; whatever else is asked for is NotSupported."""

    def __init__(self, databases: ports.Databases, fences: Fences | None = None) -> None:
        super().__init__(self._only)
        self.databases = databases
        self._fences = fences or Fences()

    is_busy = False

    def close(self) -> None:
        """Nothing goes on that nobody asks about."""

    def fenced(self, name: DeploymentName, fence: int) -> ports.Host:
        return FencedHost(cast(ports.Host, self), name, fence, self._fences)

    def describe(self) -> Mapping[str, str]:
        return {"kind": "databases"}

    def explain(self, name: DeploymentName) -> Mapping[str, str]:
        return {"database": f"{self.databases.size(name)} bytes"}

    def _only(self, operation: Operation, values: Values) -> Any:
        raise NotSupported(f"{operation.name} is not done here.", hint="This daemon knows databases alone.")


def make(state: Path = postgres_prepare.STATE, dumps: Path = postgres_prepare.DUMPS) -> activated.Inside:
    """Raises HostError when PostgreSQL was not prepared or does not answer."""
    databases = PostgresDatabases(postgres_prepare.find(state), Passwords(state / "passwords"), Shelf(dumps))
    databases.recover()
    return cast(activated.Inside, DatabaseHost(databases))


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="pgd", description=__doc__)
    parser.add_argument("--prepare", action="store_true", help="make the PostgreSQL cluster the platform's")
    if not parser.parse_args(words).prepare:
        return activated.run(make, postgres_prepare.STATE / "fences.json")
    try:
        found = postgres_prepare.prepare()
    except HostError as error:
        print(f"{error.message} {error.hint}".strip(), file=sys.stderr)  # noqa: T201 - a command's answer
        return 1
    print(f"PostgreSQL {found.version}/{found.name} is prepared.")  # noqa: T201
    return 0
