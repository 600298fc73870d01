"""The files of the repository, as Git knows them; new ones count before they are committed."""

from __future__ import annotations

import ast
import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _files() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    paths = [ROOT / name for name in sorted(set(listing.stdout.split("\0"))) if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


FILES = _files()
PYTHON = [path for path in FILES if path.suffix == ".py" and "samples" not in path.parts]
CODE = [path for path in PYTHON if "migrations" not in path.parts]
PRODUCT = [path for path in CODE if path.relative_to(ROOT).parts[0] not in ("tests", "bench")]
TEXT = [path for path in FILES if path.suffix not in (".png", ".ico", ".woff2", ".jpg", ".gz", ".pyc")]
PAGES = [path for path in FILES if path.suffix == ".md"]


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
