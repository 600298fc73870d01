"""Deploy repositories that nobody here wrote, unedited, cold and warm: `python -m bench.real_repositories PLACE…`.

A repository is a bare one in a folder (`…/owner+name` or `…/owner+name/repo`), or an address to clone from. After it,
`#folder` chooses a folder of it and `@KEY=VALUE` gives a variable: what a person would have had to give. Each is
deployed on a new platform with empty caches, asked for its pages, and deployed again. Prints a Markdown table.

With `--server` the platform is an installed server of the lab, one for all of them: what was downloaded or built for
one is removed before the next.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urljoin

import httpx2
from tests.support.git_server import GIT_ENVIRONMENT, GitServer
from tests.support.platform import Platform
from tests.support.waiting import until

from bench.server import repositories

HEAD = "| repository | commit | what was detected | result | cold s | warm s | given |\n|---|---|---|---|---:|---:|---|"
OF_SERVER = HEAD.replace("| commit | what was detected |", "| what was detected | PostgreSQL |")
STATIC = re.compile(r"""(?:href|src)=["']?([^"' >]+\.(?:css|js|mjs|png|svg|ico|jpg)(?:\?[^"' >]*)?)["' >]""")
AS_BROWSER = {"Accept": "text/html,*/*"}
TYPES = {"css": "text/css", "js": "javascript", "mjs": "javascript", "png": "image/", "svg": "image/", "jpg": "image/"}


@dataclasses.dataclass
class Given:
    """A repository to deploy, and what a person gives with it."""

    name: str
    place: str
    folder: str = ""
    variables: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def shown(self) -> str:
        words = [f"folder `{self.folder}`"] if self.folder else []
        return ", ".join([*words, *(f"`{key}`" for key in self.variables)]) or "nothing"


class Driven(Protocol):
    """A platform over its API."""

    def call(self, method: str, path: str, **body: Any) -> Any: ...
    def release(self, name: str, number: int) -> dict[str, Any]: ...
    def ended(self, name: str, number: int, *, timeout: float) -> dict[str, Any]: ...


class Stage(Protocol):
    """A platform for one repository, with nothing on it, and what is beside it."""

    git: GitServer

    @property
    def platform(self) -> Driven: ...
    def visitor(self) -> httpx2.Client: ...
    def tables(self, name: str) -> int | None:
        """How many the deployment has in a database of the platform's PostgreSQL; None where that is not used."""


@dataclasses.dataclass
class Found:
    """What became of it."""

    repository: str
    commit: str
    given: str
    detected: str = ""
    live: bool = False
    result: str = ""
    cold: float | None = None
    warm: float | None = None
    tables: int | None = None
    steps: list[str] = dataclasses.field(default_factory=list)

    @property
    def row(self) -> str:
        return self._row(self.repository, f"`{self.commit}`", self.detected, self.result)

    @property
    def row_of_server(self) -> str:
        tables = f"{self.tables} tables" if self.tables else ""
        return self._row(self.repository, self.detected, tables, self.result)

    def _row(self, *first: str) -> str:
        cells = (*first, _seconds(self.cold), _seconds(self.warm), self.given)
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def main() -> int:
    """0: every repository went live and answered as it should."""
    options = _options()
    found = _kept(options.json)
    if options.server:
        with repositories.Server(options.python) as server:
            _take(options, found, server.stage)
        print("\n".join((OF_SERVER, *(one.row_of_server for one in found.values()))))
    else:
        _take(options, found, _laptop)
        print("\n".join((HEAD, *(one.row for one in found.values()))))
    return 0 if all(one.live for one in found.values()) else 1


def _take(
    options: argparse.Namespace, found: dict[str, Found], stage: Callable[[], AbstractContextManager[Stage]]
) -> None:
    for text in options.repository:
        with stage() as made:
            one = _tried(made, _given(text), options.timeout)
        found[one.repository] = one
        say("\n".join((one.row, *(f"    {step}" for step in one.steps))))
        if options.json:
            with options.json.open("a") as file:
                file.write(json.dumps(dataclasses.asdict(one)) + "\n")


def _kept(path: Path | None) -> dict[str, Found]:
    """The newest result of each repository that earlier runs kept."""
    if path is None or not path.is_file():
        return {}
    rows = [Found(**json.loads(line)) for line in path.read_text().splitlines()]
    return {row.repository: row for row in rows}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.real_repositories", description=__doc__)
    parser.add_argument("repository", nargs="*", help="folder or address, then #folder and @KEY=VALUE")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds for one release")
    parser.add_argument("--json", type=Path, help="keep results here, a line each, and show those kept before")
    parser.add_argument("--server", action="store_true", help="on an installed server of the lab")
    parser.add_argument(
        "--python", type=Path, action="append", default=[], metavar="FOLDER", help="an interpreter's, for the server"
    )
    return parser.parse_args()


def _given(text: str) -> Given:
    place, *pairs = text.split("@")
    place, _, folder = place.partition("#")
    variables = dict(pair.split("=", 1) for pair in pairs)
    words = [word for word in place.rstrip("/").split("/") if word not in ("repo", ".git")]
    name = words[-1].replace("+", "/") if "+" in words[-1] else "/".join(words[-2:]).removesuffix(".git")
    return Given(name, place, folder, variables)


@dataclasses.dataclass
class _Laptop:
    platform: Platform
    git: GitServer

    def visitor(self) -> httpx2.Client:
        return httpx2.Client(timeout=60)

    def tables(self, name: str) -> int | None:
        return None


@contextmanager
def _laptop() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="wor-") as name:
        folder = Path(name)
        with GitServer(folder / "git") as git, Platform(folder / "v") as platform:
            platform.allow(git)
            yield _Laptop(platform, git)


def _tried(stage: Stage, one: Given, timeout: float) -> Found:
    with tempfile.TemporaryDirectory(prefix="wor-") as folder:
        stage.git.adopt(one.name, _bare(one.place, Path(folder)))
        commit = _git("rev-parse", "--short=7", "HEAD", at=stage.git.root / f"{one.name}.git")
        found = Found(one.name, commit, one.shown)
        _deploy(stage, one, found, timeout)
        return found


def _bare(place: str, folder: Path) -> Path:
    if "://" in place:
        into = folder / "clone"
        _git("clone", "--quiet", "--bare", "--", place, str(into))
        return into
    path = Path(place).resolve()
    return next(p for p in (path, path / "repo", path / ".git", path / "repo/.git") if (p / "HEAD").is_file())


def _git(*words: str, at: Path | None = None) -> str:
    safe = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    done = subprocess.run(
        ("git", *words), cwd=at, env={**GIT_ENVIRONMENT, **safe}, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip()


def _deploy(stage: Stage, one: Given, found: Found, timeout: float) -> None:
    platform, url = stage.platform, stage.git.url(one.name)
    name = re.sub(r"[^a-z0-9]+", "-", one.name.rpartition("/")[2].lower()).strip("-")[:30]
    began = time.monotonic()
    platform.call("POST", "/deployments", name=name, repository=url, root=one.folder, variables=one.variables)
    release = platform.ended(name, 1, timeout=timeout)
    found.cold = time.monotonic() - began
    found.steps = [f"{s['name']} {s['state']} {s.get('seconds') or 0:.1f} {s['note']}" for s in release["steps"]]
    found.detected = next((s["note"] for s in release["steps"] if s["name"] == "inspect"), "")
    if release["state"] != "live":
        found.result = f"**{release['state']}**: {release['cause']} {release['hint']}"
        evidence = release["evidence"] or []
        found.steps += [f"  > {line}" for line in (evidence.splitlines() if isinstance(evidence, str) else evidence)]
        return
    faults = list(_faults(stage, name, found))
    found.tables = stage.tables(name)
    began = time.monotonic()
    platform.call("POST", f"/deployments/{name}/deploy")
    platform.ended(name, 2, timeout=timeout)
    warm = time.monotonic() - began
    again = _finished(platform, name)
    if again["state"] == "live":
        found.warm = warm
    else:
        faults.append(f"the second release {again['state']}: {again['cause']}")
    found.steps += [f"2: {s['name']} {s['state']} {s.get('seconds') or 0:.1f} {s['note']}" for s in again["steps"]]
    found.live = not faults
    found.result = "live; " + "; ".join([*found.result.split("; "), *(f"**{fault}**" for fault in faults)])


def _finished(platform: Driven, name: str) -> dict[str, Any]:
    """The second release when its last step is over too: the platform ends after it."""
    return until(
        lambda: (
            (found := platform.release(name, 2))
            and all(step["state"] != "running" for step in found["steps"])
            and found
        ),
        f"the last step of {name}",
        timeout=60,
        every=0.5,
    )


def _faults(stage: Stage, name: str, found: Found) -> Iterator[str]:
    """Ask as a visitor does: the first page, the admin, a file that the page names. Yields what is wrong."""
    url = stage.platform.call("GET", f"/deployments/{name}")["url"].rstrip("/")
    seen = []
    with stage.visitor() as client:
        client.follow_redirects = True
        client.headers.update(AS_BROWSER)
        page = client.get(url + "/")
        seen.append(f"`/` {page.status_code}")
        if found.detected.startswith("Django"):
            admin = client.get(url + "/admin/login/")
            seen.append(f"admin {admin.status_code}")
            if admin.status_code >= 500:
                yield f"the admin answers {admin.status_code}"
            if not _files(page):
                page = admin if admin.status_code == 200 else page
        if page.status_code >= 500:
            yield f"the first page answers {page.status_code}"
        for kind, path in _files(page).items():
            file = client.get(urljoin(str(page.url), path))
            seen.append(f"{kind} {file.status_code}")
            if file.status_code != 200 or TYPES.get(kind, "") not in file.headers.get("content-type", ""):
                yield f"{path} answers {file.status_code} {file.headers.get('content-type', '')}"
    found.result = "; ".join(seen)


def _files(page: httpx2.Response) -> dict[str, str]:
    """A style sheet and a script that the page names on its own server, or else an image."""
    named: dict[str, str] = {}
    for path in STATIC.findall(page.text):
        target = urljoin(str(page.url), path)
        if target.startswith(f"{page.url.scheme}://{page.url.netloc.decode()}/"):
            named.setdefault(path.partition("?")[0].rpartition(".")[2], path)
    kinds = [kind for kind in ("css", "js", "mjs") if kind in named] or [kind for kind in named if kind != "ico"][:1]
    return {kind: named[kind] for kind in kinds}


def _seconds(value: Any) -> str:
    return "" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(main())
