"""What must be nowhere in the source: shells, evaluated text, unsafe formats, this or that machine."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.shape.tree import FILES, PRODUCT, PYTHON, ROOT, TEXT, named, parsed

RUNNER = ROOT / "host/src/webops_host/runner.py"
PROJECT_SHELL = ROOT / "host/src/webops_host/project_shell.py"
EXEC_ONLY = ROOT / "control-panel/apps/core/management/commands/up.py"  # takes its own process's place by another
SHELLS = {"sh", "bash", "dash", "zsh", "/bin/sh", "/bin/bash", "/usr/bin/sh", "/usr/bin/bash"}
BANNED_CALLS = {"eval", "exec", "os.system", "os.popen", "subprocess.getoutput", "asyncio.create_subprocess_shell"}
BANNED_MODULES = {"pickle", "marshal", "shelve", "dill", "commands", "pty", "multiprocessing"}
STARTERS = re.compile(r"os\.(exec|spawn|posix_spawn|fork)\w*")
# Written in pieces, so that this file is not what it looks for.
MACHINE = re.compile(r"(?<![\w.~-])/(?:" + "|".join(("wo" + "rk", "ro" + "ot", "Us" + "ers")) + ")/")
HOSTILE = "/ro" + "ot/"  # tests may ask for it, to see it refused
INDEX = re.compile(
    "|".join(("files.python" + "hosted", "py" + r"pi\.org/simple", "registry" + r"\.npmjs", "deb" + r"\.debian\.org"))
)


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def at(path: Path, node: ast.expr) -> str:
    return f"{named(path)}:{node.lineno}"


def test_arc_01_no_call_evaluates_text_or_starts_a_shell() -> None:
    found = [
        at(path, call)
        for path in PRODUCT
        for name, call in calls(path)
        if name in BANNED_CALLS or any(keyword.arg == "shell" for keyword in call.keywords)
    ]
    assert found == []


def test_arc_01_no_format_that_can_run_code_is_read() -> None:
    assert [named(path) for path in PRODUCT if imports(path) & BANNED_MODULES] == []
    assert [named(path) for path in PYTHON if "pickle" in imports(path)] == []


def test_arc_01_words_for_a_shell_are_in_one_file() -> None:
    found = []
    for path in PRODUCT:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Tuple | ast.List):
                words = {item.value for item in node.elts if isinstance(item, ast.Constant)}
                if words & SHELLS and "-c" in words:
                    found.append(path)
    assert found == [PROJECT_SHELL]


def test_arc_01_one_file_starts_programs() -> None:
    assert [path for path in PRODUCT if "subprocess" in imports(path)] == [RUNNER]
    starters = {path for path in PRODUCT for name, _ in calls(path) if STARTERS.fullmatch(name)}
    assert starters - {RUNNER, EXEC_ONLY} == set()


def test_arc_01_sql_is_never_put_together_from_text() -> None:
    found = [
        at(path, call)
        for path in PRODUCT
        for name, call in calls(path)
        if name.rsplit(".", 1)[-1] in ("RawSQL", "raw", "execute", "extra")
        and call.args
        and isinstance(call.args[0], ast.JoinedStr | ast.BinOp)
    ]
    assert found == []


def test_nothing_names_a_machine_or_a_package_host() -> None:
    texts = {named(path): path.read_text(errors="replace") for path in TEXT if path.suffix != ".lock"}
    found = {name: MACHINE.findall(text) + INDEX.findall(text) for name, text in texts.items()}
    found = {name: [w for w in what if w != HOSTILE or name[:6] != "tests/"] for name, what in found.items()}
    assert {name: what for name, what in found.items() if what} == {}


def test_a_lock_holds_versions_and_hashes_and_no_address() -> None:
    locks = [path.read_text() for path in FILES if path.suffix == ".lock" and path.parent == ROOT]
    assert len(locks) >= 3
    for text in locks:
        assert "://" not in text
        pins = re.findall(r"^[A-Za-z0-9][^\n]*", text, re.MULTILINE)
        assert all("==" in pin and pin.endswith("\\") for pin in pins)


def test_the_development_lock_holds_every_version_of_the_runtime_lock() -> None:
    runtime, development = (
        set(re.findall(r"^[a-z0-9.-]+==\S+", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-dev.lock")
    )
    assert runtime <= development


def test_work_that_is_left_is_an_issue_and_not_a_comment() -> None:
    left = re.compile(r"#.*\b(?:TO" + r"DO|FIX" + r"ME|XXX)\b(?!.*#\d)")
    assert {named(path): left.findall(path.read_text()) for path in PRODUCT if left.search(path.read_text())} == {}
