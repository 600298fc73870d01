"""What is deployed: the shop, a typical Django app, and a static site of 11 MB, as bare Git repositories.

Every commit carries a release marker that the answers of a release show, so that a measurement can tell old from new.
Each side of a comparison has repositories of its own with the same contents, so that each of its commits is deployed
by that side once.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.git_server import Repository, git

SHOP = Path(__file__).parent / "shop"
REQUIREMENTS = SHOP / "requirements.txt"
PAGES, PAGE_BYTES = 201, 12 * 1024
CSS_BYTES, SCRIPT_BYTES = 60 * 1024, 250 * 1024
PICTURES, PICTURE_BYTES = 60, 137 * 1024
WORDS = ("river stone light winter garden paper window letter morning bridge silver market " * 3).split()

CONTRACT = "webops.toml"
BROKEN = {
    "import": {"shop/urls.py": "import a_package_that_nobody_has\n"},
    "health": {
        "blog/views.py": '"""Fails on every page."""\n\n\ndef _fail(request):\n    raise RuntimeError("broken")\n\n\n'
        "hello = version = about = posts = echo = _fail\n"
    },
}


def make_repository(root: Path, name: str) -> Repository:
    """An empty bare repository below the Git server's root."""
    path = root / f"{name}.git"
    path.mkdir(parents=True)
    git("init", "--quiet", "--bare", "--initial-branch=main", cwd=path)
    git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=path)
    git("config", "gc.auto", "0", cwd=path)
    return Repository(path)


class Shop:
    """The Django app. Each method makes one commit and returns its marker."""

    def __init__(self, repository: Repository, title: str) -> None:
        self.repository, self._title = repository, title
        self._commits = self._migrations = 0
        self._mending: dict[str, bytes] = {}
        self.first = self._commit(_files_of(SHOP), "first")

    def change_code(self) -> str:
        """Nothing but one line of Python."""
        return self._commit({}, "code")

    def add_migration(self) -> str:
        """That and one migration, which makes a table."""
        before = f"{self._migrations + 2:04d}_{'first_posts' if not self._migrations else 'table'}"
        self._migrations += 1
        name = f"{self._migrations + 2:04d}_table"
        text = MIGRATION.format(before=before, number=self._migrations)
        return self._commit({f"blog/migrations/{name}.py": text}, "migration")

    def slow_down(self, seconds: float) -> str:
        """The negative control: the app takes so much longer to come up."""
        return self._commit({"shop/slow.py": f"import time\n\ntime.sleep({seconds})\n"}, "slow", "import shop.slow\n")

    def break_down(self, way: str) -> str:
        """A release that can not work: of `import` or `health`. Its marker must never be seen, and the next commit
        mends it."""
        marker = self._commit(BROKEN[way], f"broken-{way}")
        self._mending = {name: (SHOP / name).read_bytes() for name in BROKEN[way]}
        return marker

    def _commit(self, files: Mapping[str, bytes | str], what: str, more: str = "") -> str:
        self._commits += 1
        marker = f"{self._title}-{self._commits}-{what}"
        version = f'"""The release marker."""\n\n{more}MARKER = "{marker}"\n'
        self.repository.commit({**self._mending, **files, "shop/version.py": version}, what)
        self._mending = {}
        return marker


class StaticSite:
    """264 files: 201 pages, a style sheet, a script, 60 pictures, robots.txt. Each method makes one commit and returns
    its marker."""

    def __init__(self, repository: Repository, title: str) -> None:
        self.repository, self._title = repository, title
        self._commits = 0
        self._mending: dict[str, None] = {}
        self.files = _static_files()
        self.first = self._commit(self.files, "first")

    @property
    def digests(self) -> dict[str, str]:
        """What every path must answer with now."""
        return {path: hashlib.sha256(content).hexdigest() for path, content in self.files.items()}

    def change_page(self) -> str:
        """One file of 264."""
        return self._commit({}, "page")

    def break_down(self) -> str:
        """A release that can not work: its contract names a folder that is not there. The next commit mends it."""
        marker = self._commit({CONTRACT: b'[build]\npublish = "nowhere"\n'}, "broken")
        self._mending = {CONTRACT: None}
        return marker

    def _commit(self, files: Mapping[str, bytes | None], what: str) -> str:
        self._commits += 1
        marker = f"{self._title}-{self._commits}-{what}"
        self.files["index.html"] = _page("index", marker)
        self.repository.commit({**self._mending, **files, "index.html": self.files["index.html"]}, what)
        self._mending = {}
        return marker


MIGRATION = '''"""One more table."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("blog", "{before}")]
    operations = [migrations.RunSQL("CREATE TABLE bench_{number} (id integer)", "DROP TABLE bench_{number}")]
'''


def _files_of(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    return {**files, ".python-version": f"{sys.version_info.major}.{sys.version_info.minor}\n".encode()}


def _static_files() -> dict[str, bytes]:
    dice = random.Random(11)
    files = {f"page-{number}.html": _page(str(number), "") for number in range(1, PAGES)}
    rule = ".{} {{ color: #123; margin: 1px 2px 3px; }}\n"
    files["site.css"] = "".join(rule.format(dice.choice(WORDS)) for _ in range(2000)).encode()[:CSS_BYTES]
    files["app.js"] = "".join(f"const {dice.choice(WORDS)}{n}={n};\n" for n in range(20_000)).encode()[:SCRIPT_BYTES]
    head = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"
    files["robots.txt"] = b"User-agent: *\nAllow: /\n"
    files |= {f"img/{n}.jpg": head + dice.randbytes(PICTURE_BYTES) for n in range(PICTURES)}
    return files


def _page(name: str, marker: str) -> bytes:
    dice = random.Random(name)
    head = f'<!doctype html>\n<html lang="en" data-release="{marker}">\n<meta charset="utf-8"><title>{name}</title>\n'
    style = '<link rel="stylesheet" href="/site.css"><script src="/app.js" defer></script>\n'
    words = " ".join(dice.choice(WORDS) for _ in range(PAGE_BYTES // 5))
    return f"{head}{style}<p>{words}".encode()[:PAGE_BYTES]
