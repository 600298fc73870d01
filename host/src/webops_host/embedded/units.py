"""The units that were installed, on disk: so that they come back after a restart, and only those that should be up."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from webops_host import codec, files
from webops_host.errors import HostError
from webops_host.layout import Layout
from webops_host.names import DeploymentName
from webops_host.values import Unit, UnitRef


@dataclass(frozen=True, slots=True)
class Record:
    """A unit, whether it should be up, and whether it has ever answered (`proven`), which earns it new starts."""

    unit: Unit
    wanted: bool = False
    proven: bool = False


class Units:
    """Records by unit. The files hold variables: they are ours alone (0600)."""

    def __init__(self, layout: Layout) -> None:
        self._folder = layout.state / "units"
        self._lock = threading.Lock()
        self._records: dict[UnitRef, Record] = dict(self._read())

    def get(self, ref: UnitRef) -> Record | None:
        return self._records.get(ref)

    def all(self) -> list[Record]:
        return list(self._records.values())

    def of(self, name: DeploymentName) -> list[Record]:
        mine = [record for ref, record in list(self._records.items()) if ref.name == name]
        return sorted(mine, key=lambda record: (record.unit.ref.release, record.unit.ref.kind, record.unit.ref.index))

    def put(self, record: Record) -> None:
        """Keep it. The same record again writes nothing."""
        ref = record.unit.ref
        with self._lock:
            if self._records.get(ref) == record:
                return
            files.write_whole(self._path(ref), json.dumps(codec.dump(record)).encode())
            self._records[ref] = record

    def forget(self, ref: UnitRef) -> None:
        with self._lock:
            self._records.pop(ref, None)
            self._path(ref).unlink(missing_ok=True)

    def forget_all(self, name: DeploymentName) -> None:
        with self._lock:
            for ref in [ref for ref in self._records if ref.name == name]:
                del self._records[ref]
            shutil.rmtree(self._folder / name, ignore_errors=True)

    def _path(self, ref: UnitRef) -> Path:
        return self._folder / ref.name / f"{ref.release}-{ref.index}-{ref.kind}.json"

    def _read(self) -> Iterator[tuple[UnitRef, Record]]:
        """What is on disk. A file that can not be read is left out: its unit is installed anew by the next release."""
        for path in sorted(self._folder.glob("*/*.json")):
            try:
                record = codec.load(Record, json.loads(path.read_bytes()))
            except (OSError, ValueError, HostError):
                continue
            yield record.unit.ref, record
