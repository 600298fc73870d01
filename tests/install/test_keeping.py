"""Versions of a checkout, ways back from an upgrade, hostile backups, and a configuration without the panel."""

from __future__ import annotations

import argparse
import gzip
import io
import json
import subprocess
import tarfile
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.install.machines import BOOKWORM, ROOT, Programs, machine, quiet, setup

from webops_host.linux import nginx_main
from webops_host.linux.nginx_parts import Ground, TlsFiles
from webops_host.linux.platform import Platform
from webops_host.names import HostName
from webops_host.runner import Result
from webops_install import backup, database, everything, facts, hold, install, settings, source, uninstall, upgrade
from webops_install.errors import SetupError
from webops_install.facts import Facts
from webops_install.machine import Machine
from webops_install.steps import web

SITES = "etc/webops/nginx/sites"


def checkout(folder: Path) -> Path:
    (folder / "control-panel").mkdir(parents=True)
    (folder / "control-panel/manage.py").write_text("")
    (folder / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    (folder / "venv").mkdir()
    (folder / "venv/left-out").write_text("")
    return folder


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@a.test")
    done = subprocess.run(("git", "-C", str(folder), *who, *words), check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_version_is_named_by_its_commit_and_by_what_was_changed(tmp_path: Path) -> None:
    folder, here = checkout(tmp_path / "webops"), Machine()
    commit = git(folder, "rev-parse", "--short=8", "HEAD")
    clean = source.read(here, folder)
    assert clean.version == f"1.2.3-{commit}"
    assert clean.files == ("control-panel/manage.py", "pyproject.toml")

    (folder / "control-panel/manage.py").write_text("# changed\n")
    changed = source.read(here, folder).version
    assert changed.startswith(f"1.2.3-{commit}-")
    assert source.read(here, folder).version == changed


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    with pytest.raises(SetupError, match="not a checkout"):
        source.read(Machine(), tmp_path)


# --- going back ---


def upgraded(root: Path, record: dict[str, str] | None) -> tuple[Machine, Programs]:
    made, programs = machine(root)
    (root / "var/lib/webops/setup/runs").mkdir(parents=True)
    (root / "opt/webops").mkdir()
    if record:
        (root / "var/lib/webops/setup/upgrade.json").write_text(json.dumps(record))
    programs.do_python3 = lambda words: Result(0, "")  # type: ignore[attr-defined]
    programs.do_pg_lsclusters = lambda words: Result(0, "15 main 5432 online postgres /d /l")  # type: ignore[attr-defined]
    programs.do_setpriv = lambda words: Result(0, "webops")  # type: ignore[attr-defined]
    return made, programs


def test_without_an_upgrade_there_is_nothing_to_go_back_from(tmp_path: Path) -> None:
    made, programs = upgraded(tmp_path, None)
    assert not upgrade.go_back(made, quiet())
    assert programs.ran == []


def test_going_back_stops_restores_and_sets_up_with_the_old_version(tmp_path: Path) -> None:
    record = {"old": "1-a", "new": "2-b", "dump": "/var/backups/webops/panel/before-2-b.dump"}
    made, programs = upgraded(tmp_path, record)
    made.at(upgrade.CURRENT).symlink_to("releases/2-b")
    (runs := made.at("/var/lib/webops/setup/runs/webops-panel.service")).write_text("what 2-b ran on")
    seen: list[tuple[bool, str, bool]] = []

    def looked(words: list[str]) -> Result:
        if words[0] == "-I" or any("pg_restore" in word for word in words):
            seen.append((hold.is_on(made), made.at(upgrade.CURRENT).readlink().name, runs.exists()))
        return Result(0, "webops")

    programs.do_setpriv = programs.do_python3 = looked  # type: ignore[attr-defined]
    assert upgrade.go_back(made, quiet())
    assert seen == [(True, "2-b", True), (False, "1-a", False)], "the panel waits until its database is in place"

    said = [" ".join(words) for words in programs.ran]
    stopped = said.index("systemctl stop webops-panel.service")
    restored = next(i for i, line in enumerate(said) if "pg_restore" in line)
    back = next(i for i, line in enumerate(said) if "1-a/src/install/webops-admin setup --going-back" in line)
    assert stopped < restored < back
    assert not (tmp_path / "var/lib/webops/setup/upgrade.json").exists()
    assert not upgrade.go_back(made, quiet())


def test_going_back_brings_nginx_files_back_but_none_of_a_site_that_went(tmp_path: Path) -> None:
    made, _ = upgraded(tmp_path, {"old": "1-a", "new": "2-b", "dump": "/var/backups/webops/panel/before-2-b.dump"})
    main, stays, goes = (tmp_path / web.FILES[0].lstrip("/"), *(tmp_path / SITES / f"{name}.conf" for name in "ab"))
    for file in (main, stays, goes):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("old words")
    web.keep(made)
    main.write_text("new words")
    stays.write_text("new words")
    goes.unlink()
    (new := stays.with_name("c.conf")).write_text("new words")
    assert upgrade.go_back(made, quiet())
    assert (main.read_text(), stays.read_text(), goes.exists(), new.read_text()) == (
        "old words", "old words", False, "new words",
    )  # fmt: skip
    assert made.exists(web.PENDING), "nginx is to read them"
    assert not made.exists(web.KEPT)


def test_the_panel_saves_nothing_after_the_dump_that_going_back_restores(tmp_path: Path) -> None:
    made, programs = upgraded(tmp_path, None)
    made.at(database.DUMPS).mkdir(parents=True)
    active: list[set[str]] = []

    def dumped(words: list[str]) -> Result:
        if "-f" in words:
            made.at(words[words.index("-f") + 1]).write_bytes(b"PGDMP")
            active.append(set(programs.active))
        return Result(0, "")

    programs.do_setpriv = dumped  # type: ignore[attr-defined]
    programs.active |= {"webops-panel.service", "webops-worker.service", "webops-panel.socket"}
    upgrade.begin(made, "1-a", "2-b", quiet())
    assert active == [{"webops-panel.socket"}]
    assert hold.is_on(made), "a request would start it"


def test_nobody_comes_back_to_a_database_that_is_swapped(tmp_path: Path) -> None:
    made, programs = upgraded(tmp_path, None)
    database.restore(made, Path("/a.dump"))
    asked = [words[-1] for words in programs.ran if "psql" in " ".join(words)]
    shut = asked.index("ALTER DATABASE webops ALLOW_CONNECTIONS false")
    cut_off = next(number for number, sql in enumerate(asked) if "pg_terminate_backend" in sql)
    assert shut < cut_off < asked.index("ALTER DATABASE webops RENAME TO webops_outgoing")


def test_a_way_back_that_is_gone_on_with_does_not_bring_the_dump_back_again(tmp_path: Path) -> None:
    """What was saved since the first one is there still."""
    record = {"old": "1-a", "new": "2-b", "dump": "/var/backups/webops/panel/before-2-b.dump"}
    made, programs = upgraded(tmp_path, record)
    works, programs.do_python3 = programs.do_python3, lambda words: Result(1, "no space left")  # type: ignore[attr-defined]
    with pytest.raises(SetupError):
        upgrade.go_back(made, quiet())
    assert any("pg_restore" in " ".join(words) for words in programs.ran)

    programs.ran.clear()
    programs.do_python3 = works  # type: ignore[attr-defined]
    assert upgrade.go_back(made, quiet())
    assert not any("pg_restore" in " ".join(words) for words in programs.ran)
    assert upgrade.under_way(made) is None


@pytest.mark.parametrize(("record", "says"), [(None, "serves again"), ({"old": "1-a", "new": "2-b"}, "go-back")])
def test_who_upgrades_in_vain_is_told_which_version_serves(
    tmp_path: Path, record: dict[str, str] | None, says: str
) -> None:
    made, programs = upgraded(tmp_path, record)
    programs.do_systemd_run = lambda words: Result(1, "")  # type: ignore[attr-defined]
    with pytest.raises(SetupError) as failed:
        upgrade.in_own_unit(made, "2-b", quiet())
    assert says in failed.value.hint


def test_a_database_that_was_not_touched_yet_is_left_alone(tmp_path: Path) -> None:
    made, programs = upgraded(tmp_path, {"old": "1-a", "new": "2-b", "dump": ""})
    assert upgrade.go_back(made, quiet())
    assert not [words for words in programs.ran if "setpriv" in words]


# --- backups ---


def archive(fill: Callable[[tarfile.TarFile], None]) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(packed(fill)))


def packed(fill: Callable[[tarfile.TarFile], None]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as made:
        add(made, backup.MANIFEST, json.dumps({"format": backup.FORMAT}).encode())
        add(made, backup.DUMP, b"PGDMP")
        fill(made)
    return data.getvalue()


def add(made: tarfile.TarFile, name: str, data: bytes = b"", **more: object) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    for key, value in more.items():
        setattr(entry, key, value)
    made.addfile(entry, io.BytesIO(data))


def link(made: tarfile.TarFile, name: str, target: str) -> None:
    add(made, name, type=tarfile.SYMTYPE, linkname=target)


def below_a_link(made: tarfile.TarFile) -> None:
    link(made, "etc/webops/x", "tls")
    add(made, "etc/webops/x/authorized_keys", b"x")


def test_a_backup_holds_what_it_may() -> None:
    chain = "var/lib/webops/certbot/live/a.test/chain.pem"

    def fill(made: tarfile.TarFile) -> None:
        add(made, "etc/webops/panel.env", b"X=1")
        link(made, chain, "../../archive/a.test/chain1.pem")

    assert [entry.name for entry in backup._checked(archive(fill))] == ["etc/webops/panel.env", chain]


@pytest.mark.parametrize(
    "fill",
    [
        lambda made: add(made, "etc/passwd", b"x"),
        lambda made: add(made, "/etc/webops/panel.env", b"x"),
        lambda made: add(made, "etc/webops/../passwd", b"x"),
        lambda made: add(made, "etc/webops-evil/x", b"x"),
        lambda made: link(made, "etc/webops/link", "/etc/shadow"),
        lambda made: link(made, "etc/webops/link", "../../root/.ssh"),
        lambda made: link(made, "etc/webops/link", "other/../../shadow"),
        below_a_link,
        lambda made: add(made, "etc/webops/hard", type=tarfile.LNKTYPE, linkname="etc/shadow"),
        lambda made: add(made, "etc/webops/device", type=tarfile.CHRTYPE),
        lambda made: add(made, "etc/webops/fifo", type=tarfile.FIFOTYPE),
    ],
    ids=[
        "other file",
        "absolute",
        "upwards",
        "look-alike",
        "symlink",
        "symlink out",
        "symlink around",
        "below a symlink",
        "hard link",
        "device",
        "fifo",
    ],
)
def test_a_backup_that_was_tampered_with_is_refused_before_anything_is_written(
    fill: Callable[[tarfile.TarFile], None],
) -> None:
    with pytest.raises(SetupError, match="no place here"):
        list(backup._checked(archive(fill)))


Fill = Callable[[tarfile.TarFile], None]


def with_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fill: Fill, mib: int) -> tuple[Machine, Programs]:
    """A server with so much free disk, and a backup on it. The steps after a restore are left out."""
    made, programs = upgraded(tmp_path, None)
    (tmp_path / "etc/webops").mkdir(parents=True, exist_ok=True)
    (tmp_path / "etc/webops/host.toml").write_text('[platform]\ndomain = "apps.test"\n')
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (tmp_path / database.DUMPS.relative_to("/")).mkdir(parents=True)
    (tmp_path / "panel.tar.gz").write_bytes(gzip.compress(packed(fill)))
    monkeypatch.setattr(facts, "gather", lambda machine: Facts(BOOKWORM, "x86_64", 2048, 2, mib, ("192.0.2.7",), False))
    monkeypatch.setattr(everything, "STEPS", ())
    return made, programs


def test_a_restore_without_room_stops_before_anything_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, programs = with_backup(tmp_path, monkeypatch, lambda made: add(made, "etc/webops/panel.env", b"X=1"), 2000)
    with pytest.raises(SetupError, match="Nothing was changed"):
        backup.restore(made, quiet(), Path("/panel.tar.gz"), without_asking=True)
    assert not [words for words in programs.ran if "stop" in words]
    assert not (tmp_path / "etc/webops/panel.env").exists()


def test_what_another_nginx_was_told_is_not_told_to_the_one_that_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(made: tarfile.TarFile) -> None:
        add(made, SITES, type=tarfile.DIRTYPE, mode=0o755)
        add(made, f"{SITES}/stays.conf", b"http2 on;")
        add(made, f"{SITES}/comes.conf", b"http2 on;")

    (tmp_path / SITES).mkdir(parents=True)
    (tmp_path / SITES / "stays.conf").write_text("# as it is here")
    made, _ = with_backup(tmp_path, monkeypatch, fill, 20_000)
    backup.restore(made, quiet(), Path("/panel.tar.gz"), without_asking=True)
    found = {path.name: path.read_text() for path in (tmp_path / SITES).iterdir()}
    assert found == {"stays.conf": "# as it is here", "comes.conf": ""}, "setup writes both anew"


def test_the_way_back_is_taken_on_a_machine_that_is_full_by_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = setup(tmp_path)
    full = replace(made, facts=replace(made.facts, disk_mib=2000))
    monkeypatch.setattr(everything, "STEPS", ())
    back = argparse.Namespace(going_back=True, guarded=False, dry_run=False)
    assert install.carry_out(full, back, quiet()) == 0


def test_what_is_no_backup_is_refused() -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as made:
        add(made, backup.DUMP, b"PGDMP")
    with pytest.raises(SetupError), tarfile.open(fileobj=io.BytesIO(data.getvalue())) as opened:
        list(backup._checked(opened))


def test_what_was_decided_elsewhere_comes_along_and_what_tells_of_the_machine_stays() -> None:
    elsewhere = """
        [platform]
        domain = "apps.test"
        private = ["git.test:443"]
        addresses = ["192.0.2.1"]
        ssh_ports = [2222]
        open_ports = ["8443/tcp"]
        [limits]
        memory_mib = 64000
    """
    stays = 'addresses = ["192.0.2.7"]\nssh_ports = [22]\nopen_ports = []\n'
    own = f'[platform]\ndomain = "x.test"\n{stays}[limits]\nmemory_mib = 1024\n'
    comes = 'domain = "apps.test"\nprivate = ["git.test:443"]\n'
    assert tomllib.loads(settings.moved(elsewhere, own)) == tomllib.loads(
        f"[platform]\n{comes}{stays}[limits]\nmemory_mib = 1024\n"
    )
    assert settings.moved(elsewhere, "not TOML") == elsewhere


# --- without the panel ---


def test_the_panel_goes_out_of_nginx_and_everything_else_stays() -> None:
    server = Platform(domain=HostName("apps.test"), panel=HostName("panel.apps.test"))
    files = TlsFiles(Path("/chain.pem"), Path("/key.pem"))
    whole = nginx_main.text(server, files, Ground())
    left = uninstall.without_panel(whole, 'panel = "panel.apps.test"\n')
    assert "panel.apps.test" not in left
    assert "panel.sock" not in left
    assert "ssl_reject_handshake on;" in left
    assert left.count("\nserver {") == whole.count("\nserver {") - 2
    assert "include /etc/webops/nginx/sites/*.conf;" in left
    assert left.count("{") == left.count("}")


def test_nginx_gets_more_connections_and_debians_number_comes_back(tmp_path: Path) -> None:
    there, _ = machine(tmp_path)
    server = Platform(domain=HostName("apps.test"), panel=HostName("panel.apps.test"))
    main = there.at(web.MAIN)
    main.parent.mkdir(parents=True)
    usual = "events {\n\tworker_connections 768;\n\t# multi_accept on;\n}\n"
    main.write_text(usual)
    assert list(web.connections(there, replace(server, shares_nginx=True))) == []
    for change in web.connections(there, server):
        change.make()
    assert "worker_connections 4096;" in main.read_text()
    assert list(web.connections(there, server)) == []
    web.take_back_connections(there)
    assert main.read_text() == usual

    main.write_text(usual.replace("768", "4096"))
    assert list(web.connections(there, server)) == []
    web.take_back_connections(there)
    assert main.read_text() == usual.replace("768", "4096"), "an administrator's own"


def test_the_scripts_of_a_checkout_know_the_same_files() -> None:
    assert (ROOT / "install/webops-admin").stat().st_mode & 0o111
    assert (ROOT / "setup.sh").stat().st_mode & 0o111
