"""A unit as a program to run: words and environment, looked at before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.machine import BLOG, web, worker

from webops_host import programs
from webops_host.errors import NotFound
from webops_host.layout import Layout
from webops_host.names import Digest, DottedName, ProcessKind, VariableKey
from webops_host.programs import Door
from webops_host.values import Gunicorn, ProjectLine, Runtime, Unit, UnitRef

DIGEST = Digest("0123456789abcdef")
DOOR = Door(Path("/run/x.sock"), 12000)
REF = UnitRef(BLOG, 1, ProcessKind("web"))


@pytest.fixture
def layout(tmp_path) -> Layout:
    layout = Layout(tmp_path / "root")
    layout.source(BLOG, 1).mkdir(parents=True)
    return layout


def installed(layout: Layout, *modules: str) -> None:
    for module in modules:
        path = layout.own_env(BLOG, DIGEST) / "lib/python3.12/site-packages" / module
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def serving(program: Gunicorn | ProjectLine, **variables: str) -> Unit:
    given = {VariableKey(key): value for key, value in variables.items()}
    return Unit(REF, program, Runtime(BLOG, 1, variables=given, environment=DIGEST), serves=True)


def test_an_application_is_served_by_gunicorn_on_its_socket(layout):
    command = programs.command(layout, serving(Gunicorn(DottedName("shop.wsgi"), workers=2, threads=8)), DOOR)
    assert str(command) == (
        "python -m gunicorn --bind=unix:/run/x.sock --worker-class gthread --workers 2 --threads 8 "
        "--graceful-timeout 25 '--forwarded-allow-ips=*' -- shop.wsgi"
    )
    assert command.cwd == layout.source(BLOG, 1)
    assert command.env["PATH"].startswith(f"{layout.own_env(BLOG, DIGEST)}/bin:")


@pytest.mark.parametrize(
    ("modules", "worker_class"),
    [
        ((), "asgi"),
        (("uvicorn/workers.py",), "uvicorn.workers.UvicornWorker"),
        (("uvicorn/workers.py", "uvicorn_worker/__init__.py"), "uvicorn.workers.UvicornWorker"),
        (("uvicorn/workers.py", "uvicorn_worker/_workers.py"), "uvicorn_worker.UvicornWorker"),
    ],
)
def test_asgi_takes_the_best_worker_that_is_installed(layout, modules, worker_class):
    installed(layout, *modules)
    argv = programs.command(layout, serving(Gunicorn(DottedName("a:app"), asgi=True)), DOOR).argv
    assert argv[argv.index("--worker-class") + 1] == worker_class
    assert "--threads" not in argv


def test_a_newer_gunicorn_goes_without_its_control_socket_and_leaves_the_end_of_connections_to_nginx(layout):
    installed(layout, "gunicorn/ctl")
    argv = programs.command(layout, serving(Gunicorn(DottedName("a"))), DOOR).argv
    assert {"--no-control-socket", "--keep-alive=5"} <= set(argv)


def test_a_line_is_one_word_for_a_shell(layout):
    line = "a && b | c; $(d) 'e"
    command = programs.command(layout, serving(ProjectLine(line)), DOOR)
    assert command.argv == ("/bin/sh", "-c", line)


def test_a_serving_line_is_told_where_to_listen(layout):
    env = programs.command(layout, serving(ProjectLine("x")), DOOR).env
    assert (env["PORT"], env["HOST"], env["WEB_CONCURRENCY"]) == ("12000", "127.0.0.1", "1")
    assert env["GUNICORN_CMD_ARGS"] == "--bind=127.0.0.1:12000"


def test_a_project_that_configures_gunicorn_gets_a_port(layout):
    (layout.source(BLOG, 1) / "gunicorn.conf.py").write_text("reuse_port = True\n")
    argv = programs.command(layout, serving(Gunicorn(DottedName("a"))), DOOR).argv
    assert "--bind=127.0.0.1:12000" in argv


def test_what_the_owner_set_stands_but_for_the_port(layout):
    unit = serving(ProjectLine("x"), PORT="80", HOST="example.com", WEB_CONCURRENCY="3", WEBOPS_UNIT="theirs")
    env = programs.command(layout, unit, DOOR).env
    assert (env["PORT"], env["HOST"], env["WEB_CONCURRENCY"]) == ("12000", "example.com", "3")
    assert env["WEBOPS_UNIT"] == programs.mark(layout, REF)


def test_a_worker_is_told_of_no_port(layout):
    assert not {"PORT", "GUNICORN_CMD_ARGS"} & set(programs.command(layout, worker("x"), None).env)


def test_a_release_whose_files_are_gone_does_not_start(layout):
    with pytest.raises(NotFound):
        programs.command(layout, web(9), DOOR)


def test_sockets_are_short_and_differ(tmp_path):
    layout = Layout(Path("/" + "deep/" * 60))
    refs = [UnitRef(BLOG, release, ProcessKind(kind)) for release in (1, 12) for kind in ("w" * 31, "web")]
    paths = {str(programs.socket_path(layout, ref)) for ref in refs}
    assert len(paths) == 4
    assert all(len(path.encode()) <= 107 for path in paths)


def test_a_mark_begins_with_its_root_and_is_no_prefix_of_another():
    layout = Layout(Path("/x"))
    one, eleven = (programs.mark(layout, UnitRef(BLOG, n, ProcessKind("web"))) for n in (1, 11))
    assert one.startswith(programs.mark(layout))
    assert not eleven.startswith(one)
