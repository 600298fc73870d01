"""requirements.txt as people write it: nested files, options, hashes, editable lines, other encodings, pip freeze."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

from packaging.utils import canonicalize_name

from apps.deployments.detect.declared import Line, line
from apps.deployments.detect.notes import Notes, at
from apps.deployments.tree import Tree

_OPTION = re.compile(r"(-{1,2}[A-Za-z][\w-]*)(?:[=\s]+|(?<=^-[rce])|$)(.*)")
_INLINE = re.compile(r"\s(?:--hash|--global-option|--install-option|--config-settings?)(?:=|\s).*$")
_EGG = re.compile(r"#(?:.*&)?egg=([A-Za-z0-9._-]+)")
_LOCAL = re.compile(r"^([A-Za-z0-9._-]+(?:\[[^\]]*\])?)\s*@\s*(?:file:|/|\.)")
_CONDA_FREEZE = re.compile(r"^([A-Za-z0-9._-]+)=([0-9][^=]*)=(\S+)$")
_VERSION_TYPO = re.compile(r"^([A-Za-z0-9._-]+)=([0-9][\w.]*)$")
DEPTH = 8


@dataclass
class Read:
    """What a requirements file and those it names came to."""

    lines: list[Line] = field(default_factory=list)
    constraints: list[Line] = field(default_factory=list)
    project: str | None = None
    files: list[str] = field(default_factory=list)


def read(tree: Tree, path: str, notes: Notes) -> Read:
    """Every requirement of the file, in order, the first mention of a name first."""
    result = Read()
    _read_file(tree, path, result, notes, 0)
    if not result.constraints:
        return result
    pins = {c.name: c for c in result.constraints if c.parsed.specifier}
    result.lines = [_constrained(entry, pins) for entry in result.lines]
    return result


def _constrained(entry: Line, pins: dict[str, Line]) -> Line:
    pin = pins.get(entry.name)
    parsed = entry.parsed
    if pin is None or parsed.specifier or parsed.url:
        return entry
    parsed.specifier = pin.parsed.specifier
    return entry.with_text(str(parsed))


def logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines with their numbers, comments removed and continuations joined."""
    found: list[tuple[int, str]] = []
    held, start = "", 0
    for number, raw in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1):
        stripped = re.sub(r"(^|\s)#.*$", "", raw.replace("\x00", "").strip("\ufeff")).strip()
        start = start or number
        if stripped.endswith("\\"):
            held += stripped[:-1] + " "
            continue
        whole = (held + stripped).strip()
        if whole:
            found.append((start, whole))
        held, start = "", 0
    if held.strip():
        found.append((start, held.strip()))
    return found


def _read_file(tree: Tree, path: str, result: Read, notes: Notes, depth: int, constraint: bool = False) -> None:
    if path in result.files or depth > DEPTH:
        return
    result.files.append(path)
    for number, text in logical_lines(tree.text(path)):
        where = at(path, number)
        option = _OPTION.fullmatch(text)
        if option:
            _read_option(tree, path, (option[1], option[2].strip().strip("\"'")), result, notes, depth, where)
        elif constraint:
            result.constraints += [entry for entry in [line(_INLINE.sub("", text), where)] if entry]
        else:
            _read_line(text, posixpath.dirname(path), where, result, notes)


def _read_option(
    tree: Tree, path: str, option: tuple[str, str], result: Read, notes: Notes, depth: int, where: str
) -> None:
    name, value = option
    folder = posixpath.dirname(path)
    if name in ("-r", "--requirement", "-c", "--constraint"):
        target = posixpath.normpath(posixpath.join(folder, value))
        if tree.has(target):
            _read_file(tree, target, result, notes, depth + 1, constraint=name in ("-c", "--constraint"))
        else:
            notes.warn(
                "requirements_file_missing", f"{path} includes {value}, which is not in the repository.", where=where
            )
    elif name in ("-e", "--editable"):
        _read_editable(value, folder, where, result, notes)
    elif name in ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--trusted-host", "--no-index"):
        notes.note("index_ignored", f"{name} is ignored: packages come from the platform's own index.", where=where)


def _read_editable(value: str, folder: str, where: str, result: Read, notes: Notes) -> None:
    egg = _EGG.search(value)
    if value.startswith(("git+", "https://", "http://")) and egg:
        _read_line(f"{egg[1]} @ {value.split('#')[0]}", folder, where, result, notes)
    elif "://" in value or value.startswith(("git+", "git@")):
        notes.warn(
            "editable_without_name",
            f"“{value:.80}” names no package and is left out.",
            where=where,
            fix=f"Write it as “name @ {value.split('#')[0]:.80}”.",
        )
    else:
        result.project = _folder(folder, value)


def _folder(folder: str, value: str) -> str:
    target = posixpath.normpath(posixpath.join(folder, value.split("[")[0]))
    return "" if target.startswith("..") or target == "." else target


def _read_line(text: str, folder: str, where: str, result: Read, notes: Notes) -> None:
    text = _INLINE.sub("", text).strip().rstrip(",;")
    local = _LOCAL.match(text)
    conda = _CONDA_FREEZE.match(text) or _VERSION_TYPO.match(text)
    if local:
        notes.warn(
            "local_file",
            f"{local[1]} points at a file of somebody's own machine; any version of it is taken.",
            where=where,
            fix=f"Write “{local[1]}==<version>”.",
        )
        text = local[1]
    elif conda:
        text = f"{conda[1]}=={conda[2]}"
    entry = line(text, where) or _from_url(text, where)
    if entry is not None:
        result.lines.append(entry)
    elif text.startswith((".", "/", "file:")) or text.endswith((".whl", ".tar.gz", ".zip")):
        _read_path(text, folder, where, result, notes)
    else:
        notes.warn(
            "requirement_unreadable",
            f"“{text:.80}” is not a requirement and is left out.",
            where=where,
            fix="Write it as “name==version”, or delete the line.",
        )


def _from_url(text: str, where: str) -> Line | None:
    """`git+https://host/owner/name@ref#egg=name` has a name; without an egg the last part of the path is one."""
    if not re.match(r"(git\+)?https?://", text):
        return None
    egg = _EGG.search(text)
    address = text.split("#")[0]
    guess = re.search(r"/([A-Za-z0-9._-]+?)(?:\.git)?(?:@[\w./-]+)?$", address)
    name = egg[1] if egg else guess[1] if guess and address.startswith("git+") else ""
    return line(f"{canonicalize_name(name)} @ {address}", where) if name else None


def _read_path(text: str, folder: str, where: str, result: Read, notes: Notes) -> None:
    if text.rstrip("/") in (".", "./") or text.startswith(".["):
        result.project = _folder(folder, text)
        return
    notes.warn(
        "local_file",
        f"“{text:.80}” is a file of somebody's own machine and is left out.",
        where=where,
        fix="Name the package and its version instead.",
    )
