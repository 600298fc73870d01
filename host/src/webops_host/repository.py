"""What a person types as a repository, turned into one canonical address of an allowed Git server, or refused.

The canonical form: `https`, the host in lower case, no default port, no slash at the end. The path keeps its case and
its `.git` as given, because some servers only know one of the forms; `same` compares without them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from webops_host.errors import BadValue
from webops_host.names import GitRef, HostName, RelativePath
from webops_host.values import GitHost, RepositoryUrl

FORGES = tuple(GitHost(HostName(name)) for name in ("github.com", "gitlab.com", "bitbucket.org", "codeberg.org"))
MAX_LENGTH = 500
MAX_SEGMENTS = 6  # groups may be nested

ADDRESS = re.compile(r"(?:https://)?([a-z0-9.-]+)(?::([0-9]{1,5}))?/([a-z0-9_.~/-]+)", re.IGNORECASE | re.ASCII)
SEGMENT = re.compile(r"(?!-)[A-Za-z0-9_.~-]+", re.ASCII)
SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)::?", re.IGNORECASE | re.ASCII)
SSH = re.compile(r"(?:ssh://)?git@([A-Za-z0-9.-]+)[:/](?!/)(.+)", re.ASCII)
VIEW = re.compile(r"/(?:-/)?(?:tree|blob|src|raw|commits?)/(?:(?:branch|tag|commit)/)?([^/]+)(?:/(.*))?")
RULE = "Use the address that a browser shows for the repository, such as “https://github.com/owner/site”."


class Suggestion(NamedTuple):
    """What an address pasted from a browser most likely means: a repository, and a branch and folder in it."""

    url: RepositoryUrl
    ref: GitRef | None
    path: RelativePath


def parse(text: str, hosts: Iterable[GitHost]) -> tuple[RepositoryUrl, GitHost]:
    """The repository and the server it is on. `https://` may be left out.

    Raises BadValue for anything but a plain https address on one of the servers: no user name, query, fragment,
    percent sign, address literal, other scheme or other port.
    """
    found = ADDRESS.fullmatch(text.strip(" ")) if len(text) <= MAX_LENGTH else None
    if found is None:
        raise _refused(text)
    host, port = HostName(found[1].lower()), int(found[2] or 443)
    url = RepositoryUrl(host, port, _path(found[3]))
    allowed = tuple(hosts)
    for git_host in allowed:
        if (git_host.name, git_host.port) == (host, port):
            return _complete(url), git_host
    raise _unknown(url, allowed)


def suggest(text: str, hosts: Iterable[GitHost]) -> Suggestion:
    """The repository, branch and folder behind an address as people paste it: a page of a folder, with a query, in
    the ssh form, after `git clone`. A branch with a slash in its name can not be told from a folder. Raises BadValue.
    """
    allowed = tuple(hosts)
    text = text.strip().removeprefix("git clone ").strip()
    text = re.split(r"[?#]", text, maxsplit=1)[0]
    ssh = SSH.fullmatch(text)
    if ssh is not None:
        text = f"https://{ssh[1]}/{ssh[2]}"
    view = VIEW.search(text)
    if view is None or text[: view.start()].removeprefix("https://").count("/") < 2:
        return Suggestion(parse(text, allowed)[0], None, RelativePath(""))
    url, _ = parse(text[: view.start()], allowed)
    folder = "" if view[2] is None or "/blob/" in text else view[2].strip("/")
    return Suggestion(url, GitRef(view[1]), RelativePath(folder))


def same(one: RepositoryUrl, other: RepositoryUrl) -> bool:
    """Whether two addresses mean the same repository: without regard to case and `.git`."""
    return _identity(one) == _identity(other)


def _identity(url: RepositoryUrl) -> tuple[str, int, str]:
    return url.host, url.port, url.path.lower().removesuffix(".git")


def _path(text: str) -> str:
    path = text.removesuffix("/")
    parts = path.split("/")
    wrong = any(SEGMENT.fullmatch(part) is None or part.lower() in (".", "..", ".git") for part in parts)
    if wrong or len(parts) > MAX_SEGMENTS:
        raise BadValue(f"{text!r:.80} is not the path of a repository.", hint=RULE)
    return path


def _complete(url: RepositoryUrl) -> RepositoryUrl:
    if any(url.host == forge.name for forge in FORGES) and "/" not in url.path:
        raise BadValue(f"{url} names an owner and no repository.", hint=RULE)
    return url


def _refused(text: str) -> BadValue:
    """Say which part is wrong when it is a known kind of wrong."""
    ssh = SSH.fullmatch(text.strip())
    scheme = SCHEME.match(text.strip())
    message = f"{text!r:.120} is not the address of a repository."
    if ssh is not None and ADDRESS.fullmatch(f"https://{ssh[1]}/{ssh[2]}"):
        return BadValue(
            "Repositories are fetched over https, not ssh.",
            hint=f"Use “https://{ssh[1]}/{ssh[2]}”; for a private repository give an access token.",
        )
    if "@" in text:
        message = "A repository's address has no user name or password in it."
        return BadValue(message, hint="Leave it out, and give the access token in its own field.")
    if scheme is not None and scheme[1].lower() != "https" and text.strip()[scheme.end() :].startswith(("/", "sh ")):
        message = f"Repositories are fetched over https, not {scheme[1].lower()}."
    return BadValue(message, hint=RULE)


def _unknown(url: RepositoryUrl, allowed: tuple[GitHost, ...]) -> BadValue:
    where = f"{url.host}:{url.port}" if url.port != 443 else str(url.host)
    names = ", ".join(str(git_host) for git_host in allowed) or "none yet"
    return BadValue(
        f"{where} is not one of the Git servers that repositories may come from ({names}).",
        hint="An administrator can allow a team's own Git server by its name and port in the platform's settings.",
        facts={"host": str(url.host), "port": url.port},
    )
