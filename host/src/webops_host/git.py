"""Git as commands. Nothing here touches the network or the disk; `runner` does.

Git is told once, by its environment, to trust nothing but our words: no configuration of the machine or of a person,
no prompts, no hooks, no submodules, no protocol but https, no redirects, and only the addresses that were checked.
Credentials travel in the same environment, never in the words and never into a file. Whatever somebody typed stands
behind `--end-of-options`.

Pinning the addresses needs git 2.37 (`http.curloptResolve`). An older one resolves the name again: there only the
firewall, by the user that git runs as, keeps a name that changes its mind from leading inside.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from webops_host.command import Command
from webops_host.names import CommitId
from webops_host.values import Credential, RepositoryUrl

FETCHED = "refs/webops/fetched"
DEFAULT = "refs/webops/default"
UNKNOWN = "webops-unknown"  # what the mirror's HEAD names until the default branch has been asked for
SHOW_FORMAT = "%H%x00%s%x00%an%x00%ct"
LOW_SPEED_BYTES = 1000  # a second; slower than this for a while counts as a hang

CONFIG = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.attributesFile": os.devnull,
    "core.excludesFile": os.devnull,
    "core.logAllRefUpdates": "false",
    "core.quotePath": "false",
    "credential.helper": "",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "advice.detachedHead": "false",
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "protocol.version": "2",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "fetch.unpackLimit": "1",
    "http.followRedirects": "false",
    "http.proxy": "",
    "transfer.fsckObjects": "true",
    "transfer.bundleURI": "false",
}
# Old mistakes that many honest repositories carry, and that harm nobody who reads them.
HARMLESS = (
    "badDate", "badDateOverflow", "badEmail", "badFilemode", "badName", "badTimezone", "missingEmail",
    "missingNameBeforeEmail", "missingSpaceBeforeDate", "missingSpaceBeforeEmail", "missingTaggerEntry",
    "zeroPaddedDate", "zeroPaddedFilemode",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Connection:
    """A checked way to a repository: its address, where its host may be reached, whom to trust, and as whom.

    `patience` is how many seconds of (nearly) nothing are borne.
    """

    url: RepositoryUrl
    addresses: tuple[str, ...]
    ca_file: Path | None = None
    credential: Credential | None = None
    patience: int = 30


def init(mirror: Path) -> Command:
    """Make an empty mirror. Again: nothing changes."""
    words = ("--quiet", "--bare", "--template=", f"--initial-branch={UNKNOWN}", "--end-of-options", str(mirror))
    return Command(("git", "init", *words), env=environment())


def advertised(mirror: Path, connection: Connection, refs: Iterable[str] = (), *, timeout: float) -> Command:
    """Print the commit and name of the default branch, and of these full ref names, as the server has them."""
    words = ("ls-remote", "--symref", "--end-of-options", str(connection.url), "HEAD", *refs)
    return _remote(mirror, connection, *words, timeout=timeout)


def fetch(
    mirror: Path, connection: Connection, refspecs: Iterable[str], *, timeout: float, deep: bool = False
) -> Command:
    """Bring the refs in with what they need, without history unless `deep`."""
    words = ["fetch", "--progress", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--update-shallow"]
    words += [] if deep else ["--depth=1"]
    return _remote(mirror, connection, *words, "--end-of-options", str(connection.url), *refspecs, timeout=timeout)


def repack(mirror: Path) -> Command:
    """Throw away what no ref needs any more."""
    return _local(mirror, "repack", "-a", "-d", "-q", timeout=120)


def show(mirror: Path, revision: str) -> Command:
    """Print commit, subject, author and time, with NUL between. Fails when the mirror has no such commit."""
    words = ("log", "--max-count=1", "--no-show-signature", "--no-mailmap", f"--format={SHOW_FORMAT}")
    return _local(mirror, *words, "--end-of-options", f"{revision}^{{commit}}", "--")


def remember_default(mirror: Path, ref: str) -> Command:
    """Keep the full name of the server's default branch, as the mirror's own HEAD."""
    return _local(mirror, "symbolic-ref", "--end-of-options", "HEAD", ref)


def tree(mirror: Path, commit: CommitId) -> Command:
    """Print every path of a commit: mode, kind, object, size, tab, path, NUL."""
    return _local(mirror, "ls-tree", "-r", "-l", "-z", "--full-tree", "--end-of-options", commit)


def blobs(mirror: Path, objects: Iterable[str]) -> Command:
    """Print these objects one after the other, each behind a line with its id, kind and size."""
    return _local(mirror, "cat-file", "--batch", "--buffer", stdin="".join(f"{one}\n" for one in objects).encode())


def lay_out(mirror: Path, commit: CommitId, into: Path, index: Path) -> Command:
    """Write a commit's files into an empty folder, through an index of its own."""
    words = (f"--work-tree={into}", "read-tree", "--reset", "-u", "--no-recurse-submodules", "--end-of-options", commit)
    return _local(mirror, *words, cwd=into, timeout=300, variables={"GIT_INDEX_FILE": str(index)})


def settings_for(connection: Connection) -> dict[str, str]:
    """Git's configuration towards one server: where to connect to, whom to believe, what to say."""
    url = connection.url
    host = f"{url.host}:{url.port}"
    places = ",".join(f"[{address}]" if ":" in address else address for address in connection.addresses)
    settings = {
        "http.curloptResolve": f"{host}:{places}",
        "http.lowSpeedLimit": str(LOW_SPEED_BYTES),
        "http.lowSpeedTime": str(connection.patience),
    }
    if connection.ca_file is not None:
        settings["http.sslCAInfo"] = str(connection.ca_file)
    if connection.credential is not None:
        settings[f"http.https://{host}/.extraHeader"] = f"Authorization: Basic {_basic(connection.credential)}"
    return settings


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment of every git that we start."""
    config = list({**CONFIG, **{f"fetch.fsck.{name}": "ignore" for name in HARMLESS}, **(settings or {})}.items())
    numbered = {"GIT_CONFIG_COUNT": str(len(config))}
    for number, (key, value) in enumerate(config):
        numbered[f"GIT_CONFIG_KEY_{number}"] = key
        numbered[f"GIT_CONFIG_VALUE_{number}"] = value
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "GIT_ALLOW_PROTOCOL": "https",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        **numbered,
    }


def _basic(credential: Credential) -> str:
    return base64.b64encode(f"{credential.username}:{credential.token}".encode()).decode()


def _local(
    mirror: Path,
    *words: str,
    cwd: Path | None = None,
    stdin: bytes = b"",
    timeout: float = 60.0,
    variables: Mapping[str, str] | None = None,
) -> Command:
    env = {**environment(), **(variables or {})}
    return Command(("git", f"--git-dir={mirror}", *words), cwd=cwd, env=env, stdin=stdin, timeout=timeout)


def _remote(mirror: Path, connection: Connection, *words: str, timeout: float) -> Command:
    credential = connection.credential
    secrets = frozenset({credential.token, _basic(credential)}) if credential is not None else frozenset[str]()
    env = environment(settings_for(connection))
    return Command(("git", f"--git-dir={mirror}", *words), env=env, hide=secrets, timeout=timeout)
