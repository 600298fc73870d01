"""The root file system that a fresh server starts from, made once per suite and kept in the cache.

The mirror, the certificates and the options of the package manager are those that this machine itself uses.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.server.lab.places import LabError, cache, fingerprint, host, locked

INCLUDED = (
    "systemd systemd-sysv dbus libpam-systemd sudo ca-certificates iproute2 netbase procps python3 curl openssh-server"
)
SHAPE = "3"  # raise it when what is done to a base changes
CERTIFICATES = Path("/usr/local/share/ca-certificates")
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def base(suite: str) -> Path:
    """The finished root file system of a suite; made when it is not there yet, which takes minutes."""
    certificates = {file.name: file.read_text() for file in sorted(CERTIFICATES.glob("*.crt"))}
    mark = fingerprint(SHAPE, INCLUDED, sources(suite), options(), *certificates.values())
    folder = cache() / "bases" / f"{suite}-{mark}"
    with locked(f"base-{suite}"):
        if not folder.exists():
            _make(suite, folder, certificates)
    return folder


def _make(suite: str, folder: Path, certificates: dict[str, str]) -> None:
    part = folder.with_name(folder.name + ".part")
    if part.exists():
        shutil.rmtree(part)
    part.parent.mkdir(parents=True, exist_ok=True)
    words = (
        "unshare",
        "--mount",
        "debootstrap",
        "--variant=minbase",
        f"--include={','.join(INCLUDED.split())}",
        suite,
        str(part),
    )
    host((*words, _mirrors()[0]), timeout=3600)
    (part / "etc/apt/sources.list").write_text(sources(suite))
    (part / "etc/apt/apt.conf.d/90machine").write_text(options())
    for name, text in certificates.items():
        (part / str(CERTIFICATES).lstrip("/") / name).write_text(text)
    host(("chroot", str(part), "update-ca-certificates"))
    for archive in (part / "var/cache/apt/archives").glob("*.deb"):
        archive.unlink()
    (part / "etc/machine-id").write_text("")
    (part / "etc/resolv.conf").unlink(missing_ok=True)
    (part / "etc/hostname").write_text("server\n")
    part.rename(folder)


def sources(suite: str) -> str:
    """The lines of sources.list, with the mirrors of this machine."""
    main, security = _mirrors()
    lines = [f"deb {main} {name} main" for name in (suite, f"{suite}-updates")]
    if security:
        lines.append(f"deb {security} {suite}-security main")
    return "".join(f"{line}\n" for line in lines)


def options() -> str:
    """How this machine reaches its mirror: proxies, certificates, clocks that are off."""
    kept = ("Acquire::http", "Acquire::Check-", "Acquire::Retries")
    lines = host(("apt-config", "dump")).splitlines()
    return "".join(f"{line}\n" for line in lines if line.startswith(kept) and not line.endswith(' "";'))


def _mirrors() -> tuple[str, str]:
    """The address of the Debian mirror and of the security mirror in this machine's own apt sources."""
    own = platform.freedesktop_os_release()["VERSION_CODENAME"]
    found: dict[str, str] = {}
    for address, suite in _pairs():
        found.setdefault(suite, address)
    if own not in found:
        raise LabError(f"no apt source of this machine offers {own}, so the Debian mirror is not known")
    return found[own], found.get(f"{own}-security", "")


def _pairs() -> Iterator[tuple[str, str]]:
    """(address, suite) of each apt source."""
    text = host(("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages"))
    for line in text.splitlines():
        address, _, suite = line.partition(" ")
        yield address, suite
