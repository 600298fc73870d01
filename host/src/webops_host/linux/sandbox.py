"""The sandbox of everything that is not ours, as properties of systemd.exec(5): one list for units, builds and the
canary that tries to break it.

What a setting costs and what it breaks was measured: a program gets its socket from systemd because `@privileged` takes
the calls that binding one needs, memory stays writable and executable because some libraries compile at run time. Two
calls of `@privileged` are given back: gunicorn before 21 becomes the user that it is already, and without capabilities
nobody becomes another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from webops_host.values import Limits

Property = tuple[str, str]

LOCKED: tuple[Property, ...] = (
    ("NoNewPrivileges", "yes"),
    ("CapabilityBoundingSet", ""),
    ("AmbientCapabilities", ""),
    ("RestrictSUIDSGID", "yes"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("LockPersonality", "yes"),
    ("KeyringMode", "private"),
    ("RemoveIPC", "yes"),
    ("PrivateIPC", "yes"),
    ("TemporaryFileSystem", "/dev/shm:mode=1777,nosuid,nodev"),  # noqa: S108 - a private one, instead of everybody's
    ("UMask", "0027"),
    ("ProtectSystem", "strict"),
    ("ProtectHome", "yes"),
    ("PrivateTmp", "yes"),
    ("PrivateDevices", "yes"),
    ("DevicePolicy", "closed"),
    ("PrivateMounts", "yes"),
    ("ProtectProc", "invisible"),
    ("ProcSubset", "pid"),
    ("ProtectClock", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectControlGroups", "yes"),
    ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallFilter", "~@privileged @resources"),
    ("SystemCallFilter", "setuid setgid"),
    ("SystemCallErrorNumber", "EPERM"),
    ("LimitCORE", "0"),
    ("LimitNOFILE", "8192"),
    ("OOMPolicy", "stop"),
    ("IOWeight", "100"),
)
"""What every program has, whoever it runs for."""

PRIVATE_NETWORKS = (
    "169.254.0.0/16 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 168.63.129.16/32 fe80::/10 fc00::/7"
)
HIDDEN = (
    "/etc/webops", "/var/lib/webops", "/var/backups/webops", "/run/webops", "/run/dbus", "/run/systemd/private",
    "/run/redis", "/var/lib/redis", "/var/log/nginx", "/etc/nginx", "/etc/letsencrypt", "/var/lib/postgresql",
    "/etc/systemd/system",
)  # fmt: skip
"""Places no program of a deployment has business in. `/run/dbus`: units' properties are told to anybody there.
`/etc/systemd/system`: what other deployments run is written there, command lines of private repositories too."""


def network(resolvers: Iterable[str] = (), allowed: Iterable[str] = ()) -> tuple[Property, ...]:
    """The second layer under the firewall: what may not be reached, but for the name servers and what was allowed."""
    open_ = " ".join(dict.fromkeys((*resolvers, *allowed)))
    return (("IPAddressDeny", PRIVATE_NETWORKS), *((("IPAddressAllow", open_),) if open_ else ()))


NO_NETWORK: tuple[Property, ...] = (("PrivateNetwork", "yes"), ("IPAddressDeny", "any"))


def limits(wanted: Limits, most: Limits) -> tuple[Property, ...]:
    """What was wanted, within what the platform allows. Above nine tenths of its memory a program is slowed down."""
    memory = min(wanted.memory_mib, most.memory_mib)
    return (
        ("MemoryHigh", f"{memory * 9 // 10}M"),
        ("MemoryMax", f"{memory}M"),
        ("MemorySwapMax", "0"),
        ("CPUQuota", f"{min(wanted.cpu_percent, most.cpu_percent)}%"),
        ("TasksMax", str(min(wanted.tasks, most.tasks))),
    )


def view(root: Path, *, readable: Iterable[Path] = (), writable: Iterable[Path] = ()) -> Iterator[Property]:
    """What is seen of the install root: nothing but these, and of the platform's own places nothing at all."""
    yield "TemporaryFileSystem", f"{root}:ro"
    for path in readable:
        yield "BindReadOnlyPaths", f"-{path}"
    for path in writable:
        yield "BindPaths", f"-{path}"
    yield "InaccessiblePaths", " ".join(f"-{path}" for path in HIDDEN)
