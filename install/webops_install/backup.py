"""The panel in one file: its database, keys, settings, certificates, and what hostd and pgd wrote down.

Whoever has the file has the keys: it is root's alone, and belongs in a safe place. The deployments' own files and
databases are not in it.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import stat
import tarfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from webops_install import database, everyday, hold, install, settings, systemd, upgrade
from webops_install.change import Owner, write
from webops_install.errors import SetupError
from webops_install.journal import Journal
from webops_install.machine import Machine

FOLDERS = ("etc/webops", "var/lib/webops/hostd", "var/lib/webops/pgd", "var/lib/webops/certbot")
DUMP, MANIFEST, FORMAT = "panel.dump", "manifest.json", 1
STOPPED = ("webops-worker.service", "webops-hostd.service", "webops-pgd.service")
PLACE = Path("/var/backups/webops")
SITES = PurePosixPath("etc/webops/nginx/sites")


def save(options: argparse.Namespace) -> int:
    machine, talk = everyday.begun()
    with install.settled(machine):
        _save(machine, talk, options.file)
    return 0


def _save(machine: Machine, talk: Journal, file: Path | None) -> None:
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    target = file or PLACE / f"panel-{stamp}.tar.gz"
    if machine.at(target).is_dir():
        raise SetupError(f"{target} is a folder.", hint="Name the file that the backup becomes.")
    if not machine.at(target.parent).is_dir():
        raise SetupError(f"There is no folder {target.parent}.", hint="Make it, or name another place.")
    dump = database.dump(machine, f"backup-{stamp}.dump")
    partial = target.with_name(f".{target.name}.partial")
    try:
        descriptor = os.open(machine.at(partial), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            with tarfile.open(fileobj=opened, mode="w:gz", compresslevel=6) as archive:
                _fill(machine, archive, machine.at(dump))
            opened.flush()
            os.fsync(descriptor)
        machine.at(partial).replace(machine.at(target))
    finally:
        machine.at(dump).unlink(missing_ok=True)
        machine.at(partial).unlink(missing_ok=True)
    talk.say(
        f"{target}: {machine.at(target).stat().st_size >> 10} KiB. It holds the keys: keep it safe, and elsewhere."
    )


def _fill(machine: Machine, archive: tarfile.TarFile, dump: Path) -> None:
    manifest = json.dumps({"format": FORMAT, "version": upgrade.live(machine), "made": int(time.time())}).encode()
    entry = tarfile.TarInfo(MANIFEST)
    entry.size, entry.mode = len(manifest), 0o600
    archive.addfile(entry, io.BytesIO(manifest))
    archive.add(dump, DUMP)
    for folder in FOLDERS:
        if machine.exists(f"/{folder}"):
            archive.add(machine.at(f"/{folder}"), folder, filter=_kept)


def _kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return entry if entry.isreg() or entry.isdir() or entry.issym() else None


def load(options: argparse.Namespace) -> int:
    machine, talk = everyday.begun()
    with install.settled(machine):
        restore(machine, talk, options.file, without_asking=options.yes)
    return 0


def restore(machine: Machine, talk: Journal, file: Path, *, without_asking: bool) -> None:
    """Everything is looked at before anything is changed. Doing it again is fine wherever it was broken off.

    It may be another server than the one that the file is from: what tells of the machine stays as it is here.
    """
    with _opened(machine, file) as archive:
        entries = list(_checked(archive))
        install.look(install.prepare(machine, install.UNASKED, talk), talk)
        everyday.agreed("The panel's database, keys and settings are replaced.", without_asking=without_asking)
        _replace(machine, archive, entries)
    talk.say("The backup is in place. Everything is looked over once more.")
    systemd.reload(machine)
    install.look_over(machine, talk)
    absent = [site for site in _sites(entries) if not machine.exists(f"/srv/webops/{site}")]
    if absent:
        talk.say(
            f"\nNot on this server yet: {', '.join(absent)}. Deploy each of them once, then upload and restore the"
            " dumps of their databases, and copy the files that they keep (/srv/webops/NAME/shared)."
        )


def _replace(machine: Machine, archive: tarfile.TarFile, entries: Iterable[tarfile.TarInfo]) -> None:
    own = machine.text(settings.HOST)
    hold.on(machine)
    for unit in STOPPED:
        machine.asks("systemctl", "stop", unit, timeout=180)
    dump = _take_dump(machine, archive)
    try:
        database.restore(machine, dump)
    finally:
        machine.at(dump).unlink(missing_ok=True)
    for entry in entries:
        if own is not None and f"/{entry.name}" == settings.HOST:
            write(machine, settings.HOST, settings.moved(_text(archive, entry), own))
        elif _site(entry):
            _make_room(machine, entry)
        else:
            _put(machine, archive, entry)


def _opened(machine: Machine, file: Path) -> tarfile.TarFile:
    """Raises SetupError, and OSError when there is no such file."""
    try:
        return tarfile.open(machine.at(file), "r:gz")
    except (tarfile.TarError, EOFError) as error:
        raise SetupError(f"{file} is no backup of the panel: {error}") from error


def _text(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    opened = archive.extractfile(entry)
    return opened.read().decode(errors="replace") if opened is not None else ""


def _sites(entries: Iterable[tarfile.TarInfo]) -> list[str]:
    """Deployments that a web server was told of."""
    return sorted(filter(None, map(_site, entries)))


def _site(entry: tarfile.TarInfo) -> str:
    """The deployment whose file for nginx this is; nothing for other entries."""
    path = PurePosixPath(entry.name)
    return path.stem if entry.isreg() and path.parent == SITES and path.suffix == ".conf" else ""


def _make_room(machine: Machine, entry: tarfile.TarInfo) -> None:
    """A site's file for nginx is written anew: what suited another nginx may not suit the one that is here."""
    if not machine.exists(entry.name):
        write(machine, entry.name, "")


def _checked(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Only what such a file holds, and nowhere else. Raises SetupError."""
    try:
        names = set(archive.getnames())
        manifest = json.load(archive.extractfile(MANIFEST) or io.BytesIO(b"{}"))
    except (tarfile.TarError, EOFError, OSError, KeyError, ValueError) as error:
        raise SetupError(f"This is no whole backup of the panel: {error}") from error
    if manifest.get("format") != FORMAT or DUMP not in names:
        raise SetupError("This is no backup of the panel, or of a newer version.")
    links = {PurePosixPath(entry.name) for entry in archive.getmembers() if entry.issym()}
    for entry in archive.getmembers():
        path = PurePosixPath(entry.name)
        if entry.name in (MANIFEST, DUMP):
            continue
        inside = _is_inside(path) and (not entry.issym() or _leads_inside(path, PurePosixPath(entry.linkname)))
        if not inside or links & set(path.parents) or _kept(entry) is None:
            raise SetupError(f"The backup holds {entry.name!r:.120}, which has no place here.")
        yield entry


def _is_inside(path: PurePosixPath) -> bool:
    return ".." not in path.parts and any(path.is_relative_to(folder) for folder in FOLDERS)


def _leads_inside(link: PurePosixPath, target: PurePosixPath) -> bool:
    """Upwards at the beginning only: what `..` after a name means depends on where that name leads."""
    folder = link.parent
    while target.parts[:1] == ("..",):
        folder, target = folder.parent, PurePosixPath(*target.parts[1:])
    return _is_inside(folder / target)


def _take_dump(machine: Machine, archive: tarfile.TarFile) -> Path:
    place = database.DUMPS / ".restore.dump"
    opened = archive.extractfile(DUMP)
    assert opened is not None, "a regular file, as was checked"
    target = machine.at(place)
    target.unlink(missing_ok=True)
    with opened, target.open("xb") as copy:
        while chunk := opened.read(1 << 20):
            copy.write(chunk)
    target.chmod(0o600)
    machine.owners.give(target, *Owner("postgres", "postgres").ids(machine))
    return place


def _put(machine: Machine, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
    """Beside its place, then into it. Owners go by name: numbers may be others here."""
    place = machine.at(entry.name)
    if entry.isdir():
        place.mkdir(parents=True, exist_ok=True)
    else:
        fresh = place.with_name(f".{place.name}.restored")
        fresh.unlink(missing_ok=True)
        if entry.issym():
            fresh.symlink_to(entry.linkname)
        else:
            opened = archive.extractfile(entry)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as copy:
                copy.write(opened.read() if opened else b"")
        fresh.replace(place)
    machine.owners.give(place, *_owner(machine, entry))
    if not entry.issym():
        place.chmod(stat.S_IMODE(entry.mode))


def _owner(machine: Machine, entry: tarfile.TarInfo) -> tuple[int, int]:
    user, group = machine.user(entry.uname), machine.group(entry.gname)
    return (user.uid if user else 0, group if group is not None else 0)
