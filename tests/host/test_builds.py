"""Interpreters, environments, front ends, command lines and published folders."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from webops_host import node, python
from webops_host.builds import LocalBuilds
from webops_host.environment import READY, runtime_environment
from webops_host.errors import Cancelled, CommandFailed, CommandTimedOut, NotFound, ProgramMissing, PythonMissing
from webops_host.layout import Layout
from webops_host.names import DeploymentName, Digest, DottedName, PythonVersion, RelativePath, VariableKey
from webops_host.release_files import ENVIRONMENT_NOTE
from webops_host.values import Console, Limits, NodePlan, ProjectLine, PythonPlan, Runtime

NAME = DeploymentName("site")
HERE = PythonVersion(f"{sys.version_info.major}.{sys.version_info.minor}")
DIGEST = Digest("a" * 32)

# A package whose build needs nothing but itself, so that it can be built without a network.
BACKEND = """
import zipfile
def get_requires_for_build_wheel(config_settings=None): return []
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        wheel.writestr("tiny.py", "VALUE = 42\\n")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    return name
"""
PROJECT = """
[project]
name = "tiny"
version = "1.0"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "sites")


@pytest.fixture
def links(tmp_path: Path) -> Path:
    """A folder of packages, with the source of `tiny` and no wheel of it."""
    folder, source = tmp_path / "links", tmp_path / "tiny-1.0"
    folder.mkdir()
    source.mkdir()
    (source / "pyproject.toml").write_text(PROJECT)
    (source / "backend.py").write_text(BACKEND)
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
    with tarfile.open(folder / "tiny-1.0.tar.gz", "w:gz") as archive:
        archive.add(source, "tiny-1.0")
    return folder


@pytest.fixture
def builds(layout: Layout, links: Path, tmp_path: Path) -> LocalBuilds:
    """A machine that knows no package index but that folder."""
    return LocalBuilds(layout, environ=offline(links), person=tmp_path / "person")


def offline(links: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "UV_OFFLINE": "1", "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(links)}


def plan(*requirements: str, digest: Digest = DIGEST, version: PythonVersion = HERE, **more) -> PythonPlan:
    return PythonPlan(version, requirements, digest, **more)


def quiet() -> Console:
    return Console(lambda line: None)


def source(layout: Layout, files: dict[str, str], release: int = 1) -> Path:
    folder = layout.source(NAME, release)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


# --- interpreters ---


def test_interpreters_are_real_binaries_of_their_name_from_3_6_on(tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        for name in (
            "python3.6",
            "python3.10",
            "python3.5",
            "python2.7",
            "python3.12-config",
            "python3.13t",
            "pypy3.11",
        ):
            (folder / name).write_bytes(b"\x7fELF")
            (folder / name).chmod(0o755)
    (first / "python3.8").write_text("#!/bin/sh\nexec pyenv\n")
    (first / "python3.8").chmod(0o755)
    (first / "python3.11").symlink_to("pypy3.11")
    (first / "python3.9").symlink_to("nothing")
    (second / "python3.9").write_bytes(b"\x7fELF")  # not executable
    assert python.interpreters([first, second, tmp_path / "none"]) == {
        PythonVersion("3.6"): first / "python3.6",
        PythonVersion("3.10"): first / "python3.10",
    }


def test_the_interpreters_of_this_machine_include_ours(builds: LocalBuilds):
    found = builds.pythons()
    assert HERE in found
    assert list(found) == sorted(found, key=lambda version: version.pair)


# --- environments ---


def test_an_environment_is_made_once_and_then_found(builds: LocalBuilds, layout: Layout):
    lines: list[str] = []
    first = builds.python(NAME, 1, plan(), Console(lines.append))
    again = builds.python(DeploymentName("other"), 7, plan(), Console(lines.append))
    assert (first.reused, first.sealed, again.reused, again.sealed) == (False, True, True, True)
    assert (layout.sealed_env(DIGEST) / "bin/python").exists()
    assert (layout.release(NAME, 1) / ENVIRONMENT_NOTE).read_text() == DIGEST
    assert "reused" in lines[-1]


def test_nothing_of_ours_is_taken_for_a_file_of_the_projects(builds: LocalBuilds, layout: Layout):
    """Who reads a `.env` looks in every folder above his own."""
    builds.python(NAME, 1, plan(), quiet())
    source = layout.source(NAME, 1)
    assert not [folder for folder in source.parents if (folder / ".env").exists()]


def test_a_half_made_environment_is_made_anew(builds: LocalBuilds, layout: Layout):
    left = layout.sealed_env(DIGEST) / "bin/left-over"
    left.parent.mkdir(parents=True)
    left.touch()
    assert not builds.python(NAME, 1, plan(), quiet()).reused
    assert not left.exists()


def test_a_package_without_a_wheel_is_built_in_an_environment_of_its_own(builds: LocalBuilds, layout: Layout):
    lines: list[str] = []
    built = builds.python(NAME, 1, plan("tiny"), Console(lines.append))
    assert (built.reused, built.sealed) == (False, False)
    assert not layout.sealed_env(DIGEST).exists()
    assert list(layout.own_env(NAME, DIGEST).glob("lib/python*/site-packages/tiny.py"))
    assert any("built from source" in line for line in lines)
    assert builds.python(NAME, 2, plan("tiny"), quiet()).reused
    runtime = Runtime(NAME, 1, environment=DIGEST)
    source(layout, {"x": ""})
    builds.run(runtime, ProjectLine('python -c "import tiny; print(tiny.VALUE)"'), 20.0, Console(lines.append))
    assert lines[-1] == "42"


def test_what_project_code_may_write_is_kept_from_the_shared_cache(builds: LocalBuilds, layout: Layout):
    builds.python(NAME, 1, plan("tiny"), quiet())
    shared = [path.name for path in (layout.cache / "uv").rglob("*") if "tiny" in path.name and path.suffix == ".whl"]
    assert shared == []
    assert (layout.home(NAME) / "cache/uv").is_dir()


def test_a_deployments_own_user_writes_nothing_that_is_shared(layout: Layout, links: Path, tmp_path: Path):
    own = LocalBuilds(layout, environ=offline(links), person=tmp_path / "person", shared=False)
    assert not own.python(NAME, 1, plan("tiny"), quiet()).sealed
    assert not layout.host.exists()


def test_a_project_is_installed_into_an_environment_of_its_own(builds: LocalBuilds, layout: Layout):
    source(layout, {"app/pyproject.toml": PROJECT, "app/backend.py": BACKEND})
    built = builds.python(NAME, 1, plan(project=RelativePath("app")), quiet())
    assert not built.sealed
    shutil.rmtree(layout.release(NAME, 1))  # it is no link to the release it came from
    assert list(layout.own_env(NAME, DIGEST).glob("lib/python*/site-packages/tiny.py"))
    with pytest.raises(NotFound):
        builds.python(NAME, 2, plan(digest=Digest("b" * 32), project=RelativePath("none")), quiet())


def test_an_unknown_package_fails_and_leaves_nothing(builds: LocalBuilds, layout: Layout):
    lines: list[str] = []
    with pytest.raises(CommandFailed) as caught:
        builds.python(NAME, 1, plan("nosuchthing==9"), Console(lines.append))
    assert caught.value.hint
    assert any("nosuchthing" in line for line in lines)
    assert not layout.sealed_env(DIGEST).exists()
    assert not layout.own_env(NAME, DIGEST).exists()


def test_a_version_that_is_not_here_is_answered_with_those_that_are(builds: LocalBuilds):
    with pytest.raises(PythonMissing) as caught:
        builds.python(NAME, 1, plan(version=PythonVersion("3.99")), quiet())
    assert caught.value.facts["wanted"] == "3.99"
    assert HERE in caught.value.hint


def test_two_at_once_make_one(builds: LocalBuilds, layout: Layout):
    built = []
    threads = [
        threading.Thread(target=lambda n=n: built.append(builds.python(NAME, n, plan(), quiet()))) for n in (1, 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 2
    assert (layout.sealed_env(DIGEST) / READY).exists()


def test_cancelling_leaves_no_environment(builds: LocalBuilds, layout: Layout):
    with pytest.raises(Cancelled):
        builds.python(NAME, 1, plan(), Console(lambda line: None, lambda: True))
    assert not layout.sealed_env(DIGEST).exists()


@pytest.mark.slow
def test_a_real_package_is_installed_from_wheels_and_compiled(layout: Layout):
    builds = LocalBuilds(layout)
    assert builds.python(NAME, 1, plan("sqlparse==0.5.1"), quiet()).sealed
    assert list(layout.sealed_env(DIGEST).glob("lib/python*/site-packages/sqlparse/__pycache__/*.pyc"))


# --- what installers know of the machine ---


def test_a_runtime_has_its_own_programs_first_and_variables_byte_for_byte(layout: Layout):
    odd = "a'b\"c$d`e\\f\ng ü=%"
    variables = {VariableKey("ODD"): odd, VariableKey("PYTHONPATH"): "lib", VariableKey("LANG"): "de_DE.UTF-8"}
    runtime = Runtime(NAME, 3, variables=variables, environment=DIGEST, settings=DottedName("shop.settings"))
    env = runtime_environment(layout, runtime, extra={"PORT": "8001"})
    assert env["ODD"] == odd
    assert env["PATH"].split(os.pathsep)[0] == str(layout.own_env(NAME, DIGEST) / "bin")
    assert env["DJANGO_SETTINGS_MODULE"] == "webops_settings"
    assert env["WEBOPS_DJANGO_SETTINGS"] == "shop.settings"
    assert env["PYTHONPATH"] == f"{layout.overlay(NAME, 3)}:lib"
    assert env["STATIC_ROOT"] == str(layout.static(NAME, 3))
    assert (env["LANG"], env["PORT"]) == ("de_DE.UTF-8", "8001")
    assert "PYTHONDONTWRITEBYTECODE" not in env


def test_nothing_of_the_daemons_environment_reaches_a_build(
    builds: LocalBuilds, layout: Layout, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PANEL_SECRET", "canary")
    source(layout, {"x": ""})
    lines: list[str] = []
    builds.run(Runtime(NAME, 1), ProjectLine("env"), 10.0, Console(lines.append))
    assert not [line for line in lines if "canary" in line or "DONTWRITE" in line]


# --- command lines ---


def test_inj_07_an_owners_line_runs_in_the_source_with_its_shell(builds: LocalBuilds, layout: Layout):
    folder = source(layout, {"web/x": ""})
    lines: list[str] = []
    runtime = Runtime(NAME, 1, RelativePath("web"), variables={VariableKey("WHO"): "me; id"})
    builds.run(runtime, ProjectLine('echo "$WHO" && pwd; ls | cat'), 10.0, Console(lines.append))
    assert lines == ["me; id", str(folder / "web"), "x"]


def test_a_line_is_held_by_its_time_and_memory(builds: LocalBuilds, layout: Layout):
    source(layout, {"x": ""})
    with pytest.raises(CommandTimedOut):
        builds.run(Runtime(NAME, 1), ProjectLine("sleep 60"), 0.2, quiet())
    hungry = ProjectLine("head -c 200000000 /dev/zero | tail")
    with pytest.raises(CommandFailed) as caught:
        builds.run(Runtime(NAME, 1, limits=Limits(memory_mib=32)), hungry, 20.0, quiet())
    assert caught.value.facts["oom"] is True


def test_a_failing_line_says_its_status(builds: LocalBuilds, layout: Layout):
    source(layout, {"x": ""})
    with pytest.raises(CommandFailed) as caught:
        builds.run(Runtime(NAME, 1), ProjectLine("exit 4"), 10.0, quiet())
    assert caught.value.facts["status"] == 4


# --- front ends ---


def test_front_end_commands(tmp_path: Path):
    env = {"PATH": "/usr/bin", "NODE_ENV": "production", "API": "x"}
    locked = node.install(tmp_path, NodePlan(RelativePath(""), locked=True), env)
    assert locked.argv[:2] == ("npm", "ci")
    assert "NODE_ENV" not in locked.env
    script = node.run_script(tmp_path, NodePlan(RelativePath(""), script="--x"), {"API": "x"}, 512)
    assert script.argv == ("npm", "run", "--", "--x")
    assert (script.env["NODE_ENV"], script.env["API"], script.memory_mib) == ("production", "x", 512)


def test_without_node_the_package_to_install_is_named(layout: Layout):
    builds = LocalBuilds(layout, environ={"PATH": "/nonexistent"})
    source(layout, {"package.json": "{}"})
    with pytest.raises(ProgramMissing) as caught:
        builds.node(Runtime(NAME, 1), NodePlan(RelativePath("")), quiet())
    assert "apt install nodejs npm" in caught.value.hint


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_a_front_end_is_built_and_its_packages_kept(builds: LocalBuilds, layout: Layout):
    package = {"name": "x", "dependencies": {"tool": "file:tool"}, "scripts": {"build": "node build.js"}}
    files = {
        "package.json": json.dumps(package),
        "tool/package.json": '{"name": "tool", "version": "1.0.0"}',
        "build.js": "require('fs').writeFileSync('out.txt', process.env.NODE_ENV + process.env.API)",
    }
    lines: list[str] = []
    for release in (1, 2):
        folder = source(layout, files, release)
        runtime = Runtime(NAME, release, variables={VariableKey("API"): "!"})
        builds.node(runtime, NodePlan(RelativePath("")), Console(lines.append))
        assert (folder / "out.txt").read_text() == "production!"
    assert sum("reused" in line for line in lines) == 1


# --- publishing ---


def test_a_folder_is_published_without_what_must_not_be_served(builds: LocalBuilds, layout: Layout):
    folder = source(
        layout,
        {
            "site/index.html": "hello", "site/a/b.css": "x", "site/.env": "SECRET", "site/.git/config": "x",
            "site/.well-known/security.txt": "x", "site/node_modules/x/index.js": "x", "other.html": "x",
        },
    )  # fmt: skip
    (folder / "site/outside").symlink_to("/etc/passwd")
    (folder / "site/up").symlink_to("../../../../..")
    (folder / "site/inner.html").symlink_to("index.html")
    (folder / "site/shared.html").symlink_to("../other.html")
    published = builds.publish(NAME, 1, RelativePath("site"))
    public = layout.public(NAME, 1)
    served = {str(path.relative_to(public)) for path in public.rglob("*") if not path.is_dir()}
    assert served == {"index.html", "a/b.css", ".well-known/security.txt", "inner.html", "shared.html"}
    assert not any(path.is_symlink() for path in public.rglob("*"))
    assert published.files == 5
    assert published == builds.publish(NAME, 1, RelativePath("site"))


def test_fs_02_a_published_folder_that_is_a_link_outside_is_refused(builds: LocalBuilds, layout: Layout):
    folder = source(layout, {"index.html": "x"})
    outside = layout.root.parent / "outside"
    outside.mkdir()
    (outside / "index.html").write_text("secret")
    (folder / "dist").symlink_to(outside)
    with pytest.raises(NotFound):
        builds.publish(NAME, 1, RelativePath("dist"))


def test_the_digest_is_of_names_and_contents(builds: LocalBuilds, layout: Layout):
    source(layout, {"index.html": "x", "a.txt": "1"})
    first = builds.publish(NAME, 1, RelativePath(""))
    source(layout, {"index.html": "x", "a.txt": "1"}, 2)
    source(layout, {"index.html": "x", "b.txt": "1"}, 3)
    assert builds.publish(NAME, 2, RelativePath("")).digest == first.digest
    assert builds.publish(NAME, 3, RelativePath("")).digest != first.digest


@pytest.mark.parametrize(("folder", "reason"), [("none", "folder_missing"), ("docs", "index_missing")])
def test_a_wrong_folder_is_answered_with_the_likely_one(builds: LocalBuilds, layout: Layout, folder: str, reason: str):
    source(layout, {"docs/readme.md": "x", "zoo/index.html": "x", "dist/index.html": "x"})
    with pytest.raises(NotFound) as caught:
        builds.publish(NAME, 1, RelativePath(folder))
    assert caught.value.facts["reason"] == reason
    assert caught.value.facts["similar"] == "dist,zoo"
    assert "dist" in caught.value.hint


def test_collected_files_are_carried_to_another_release(builds: LocalBuilds, layout: Layout):
    file = layout.static(NAME, 1) / "css/site.css"
    file.parent.mkdir(parents=True)
    file.write_text("x")
    for _ in range(2):
        builds.carry_static(NAME, 2, 1)
    assert (layout.static(NAME, 2) / "css/site.css").samefile(file)
    assert (layout.overlay(NAME, 2) / "webops_settings.py").is_file()
    with pytest.raises(NotFound):
        builds.carry_static(NAME, 3, 9)
