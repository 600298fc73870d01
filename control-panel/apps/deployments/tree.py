"""The files of one commit, as detection sees them: paths at once, contents when asked for, each read only once."""

from __future__ import annotations

import ast
import codecs
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, lru_cache

from webops_host.values import Entry

Read = Callable[[Iterable[str]], Mapping[str, bytes]]

BATCH_BYTES = 24 << 20
FILE_BYTES = 1 << 20
SMALL_BYTES = 1 << 20
LOOKED_INTO = (".py", ".html", ".toml", ".cfg", ".txt", ".in")
SOURCE_BYTES = 400_000  # a Python file above this is data, not code
VENDORED = frozenset(
    {"node_modules", "bower_components", "site-packages", "dist-packages", "__pycache__", ".git", ".tox", ".venv"}
    | {"venv", "virtualenv", ".virtualenv", "Lib", "__MACOSX"}
)
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@lru_cache(maxsize=512)
def _pattern(glob: str) -> re.Pattern[str]:
    """`**/` is any number of folders, `*` stays inside one name."""
    text = re.escape(glob).replace(r"\*\*/", "(?:.*/)?").replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    return re.compile(text.replace(r"\?", "[^/]"))


def decode(content: bytes) -> str:
    """Text of a file of unknown encoding: by its byte order mark, then UTF-8, then Latin-1."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def line_of(text: str, needle: str) -> int:
    """The number of the first line that contains the needle, or 0."""
    at = text.find(needle)
    return text.count("\n", 0, at) + 1 if at >= 0 else 0


class Tree:
    """`read` gives the contents of the regular files among the paths it is asked for; others it leaves out."""

    def __init__(self, entries: Iterable[Entry], read: Read) -> None:
        self._read = read
        self._sizes = {e.path: e.size for e in entries if e.kind == "file" and _sane(e.path)}
        self._contents: dict[str, bytes] = {}
        self._modules: dict[str, ast.Module | None] = {}
        self.paths: tuple[str, ...] = tuple(sorted(self._sizes, key=lambda p: (p.count("/"), p)))

    @classmethod
    def of(cls, files: Mapping[str, str | bytes]) -> Tree:
        """A tree of these contents, without a repository."""
        contents = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
        entries = [Entry(path, "file", len(content)) for path, content in contents.items()]
        return cls(entries, lambda paths: {path: contents[path] for path in paths if path in contents})

    @cached_property
    def own(self) -> tuple[str, ...]:
        """Paths that are the project's own: no committed environments or packages. Shallow ones first."""
        homes = {p.rsplit("/", 1)[0] for p in self.paths if p.endswith("/pyvenv.cfg")}
        homes |= {p.rsplit("/", 2)[0] for p in self.paths if p.endswith(("/bin/activate", "/Scripts/activate"))}
        prefixes = tuple(f"{home}/" for home in homes)
        return tuple(p for p in self.paths if not p.startswith(prefixes) and VENDORED.isdisjoint(p.split("/")[:-1]))

    @cached_property
    def small(self) -> frozenset[str]:
        """The own files that detection may look into, when they are so few that one reading brings them all."""
        paths = [path for path in self.own if path.endswith(LOOKED_INTO)]
        return frozenset(paths if sum(self._sizes[path] for path in paths) <= SMALL_BYTES else ())

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder that holds a file somewhere below it."""
        found: set[str] = set()
        for path in self.paths:
            while "/" in path:
                path = path.rsplit("/", 1)[0]
                if path in found:
                    break
                found.add(path)
        return frozenset(found)

    def has(self, path: str) -> bool:
        return path in self._sizes

    def size(self, path: str) -> int:
        return self._sizes.get(path, 0)

    def folder(self, path: str) -> bool:
        return not path or path in self.folders

    def glob(self, *patterns: str) -> tuple[str, ...]:
        """Own paths that fit one of the patterns, shallow ones first."""
        compiled = [_pattern(p) for p in patterns]
        return tuple(path for path in self.own if any(c.fullmatch(path) for c in compiled))

    def prefetch(self, paths: Iterable[str]) -> None:
        """Read many files in as few calls as the port's limits allow."""
        batch: list[str] = []
        total = 0
        for path in paths:
            if path in self._contents or self._sizes.get(path, FILE_BYTES + 1) > FILE_BYTES:
                continue
            if total + self._sizes[path] > BATCH_BYTES:
                self._fetch(batch)
                batch, total = [], 0
            batch.append(path)
            total += self._sizes[path]
        self._fetch(batch)

    def _fetch(self, paths: list[str]) -> None:
        if paths:
            got = self._read(paths)
            for path in paths:
                self._contents[path] = got.get(path, b"")

    def content(self, path: str) -> bytes:
        """The bytes of a file; nothing when it is absent or too large."""
        if path not in self._contents:
            self.prefetch([path])
        return self._contents.get(path, b"")

    def text(self, path: str) -> str:
        return decode(self.content(path))

    def module(self, path: str) -> ast.Module | None:
        """The syntax tree of a Python file; None when it is absent or this Python can not read it."""
        if path not in self._modules:
            self._modules[path] = _parse(self.text(path)) if 0 < self.size(path) <= SOURCE_BYTES else None
        return self._modules[path]

    def under(self, root: str) -> Tree:
        """The files below a folder, as a tree of their own."""
        if not root:
            return self
        prefix = f"{root}/"
        entries = [Entry(p[len(prefix) :], "file", s) for p, s in self._sizes.items() if p.startswith(prefix)]

        def read(paths: Iterable[str]) -> Mapping[str, bytes]:
            wanted = list(paths)
            self.prefetch(prefix + p for p in wanted)
            return {p: self.content(prefix + p) for p in wanted}

        return Tree(entries, read)


def _sane(path: str) -> bool:
    return path.isprintable() and "\\" not in path and len(path) <= 400 and ".." not in path.split("/")


def _parse(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
