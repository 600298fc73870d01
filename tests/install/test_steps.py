"""Steps on a machine in a folder: what they make, that they make it once, and that they go on where they were cut."""

from __future__ import annotations

import dataclasses
import io
import stat
from pathlib import Path

import pytest
from tests.install.machines import setup

from webops_host.linux import postgres_hba, postgres_prepare
from webops_host.runner import Result
from webops_install import answers, engine, settings
from webops_install.errors import SetupError
from webops_install.journal import Journal
from webops_install.steps import accounts, certificates, decisions, folders, hardening, packages, postgres, redis, units

GROUPS = (
    (accounts.STEP,),
    (folders.STEP, packages.FIRST_STEP),
    (decisions.STEP,),
    (packages.STEP,),
    (folders.LATE_STEP, redis.STEP, certificates.STEP),
    (units.STEP,),
    (hardening.STEP,),
)


def quiet() -> Journal:
    return Journal(None, io.StringIO())


def test_a_second_run_finds_nothing_to_do(tmp_path: Path) -> None:
    made, programs = setup(tmp_path)
    assert engine.run(GROUPS, made, quiet()) > 50
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    programs.ran.clear()

    assert engine.run(GROUPS, made, quiet()) == 0
    assert programs.changing() == [("openssl", *programs.changing()[0][1:])]  # how long the certificate lasts
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_rehearsal_changes_nothing(tmp_path: Path) -> None:
    made, programs = setup(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    said: list[str] = []

    assert engine.rehearse(GROUPS, made, said.append) == len(said) > 50
    assert sorted(tmp_path.rglob("*")) == before
    assert programs.changing() == []


@pytest.mark.parametrize("number", [2, 5, 9, 14, 20, 27, 35, 44])
def test_a_run_that_was_cut_short_is_finished_by_the_next(tmp_path: Path, number: int) -> None:
    whole, _ = setup(tmp_path / "whole")
    engine.run(GROUPS, whole, quiet())
    made, programs = setup(tmp_path / "cut")
    programs.dies_at = number
    with pytest.raises(KeyboardInterrupt):
        engine.run(GROUPS, made, quiet())
    programs.dies_at = 0

    engine.run(GROUPS, made, quiet())
    assert engine.run(GROUPS, made, quiet()) == 0
    assert names(tmp_path / "cut") == names(tmp_path / "whole")


def names(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_keys_are_made_once_and_closed(tmp_path: Path) -> None:
    made, _ = setup(tmp_path)
    engine.run(GROUPS, made, quiet())
    first = (tmp_path / "etc/webops/panel.env").read_text()
    other, _ = setup(tmp_path / "again", domain="other.test", panel="panel.other.test")
    assert settings.read_environment(first)["WEBOPS_PANEL_HOST"] == "panel.apps.test"
    assert stat.S_IMODE((tmp_path / "etc/webops/panel.env").stat().st_mode) == 0o640

    renamed = type(made)(made.machine, other.answers, made.facts, made.source)
    engine.run(((decisions.STEP,),), renamed, quiet())
    second = settings.read_environment((tmp_path / "etc/webops/panel.env").read_text())
    assert second["WEBOPS_PANEL_HOST"] == "panel.other.test"
    assert second["SECRET_KEY"] == settings.read_environment(first)["SECRET_KEY"]
    assert second["ENCRYPTION_KEY"] == settings.read_environment(first)["ENCRYPTION_KEY"]


@pytest.mark.parametrize("harm", ["misspelt", "gone"])
def test_a_key_that_secrets_are_encrypted_with_is_never_replaced(tmp_path: Path, harm: str) -> None:
    made, _ = setup(tmp_path)
    engine.run(GROUPS, made, quiet())
    place = tmp_path / "etc/webops/panel.env"
    (tmp_path / "opt/webops/current").mkdir(parents=True)
    harmed = place.read_text().replace("ENCRYPTION_KEY=", "ENCRYPTON_KEY=")
    place.write_text(harmed) if harm == "misspelt" else place.unlink()
    with pytest.raises(SetupError, match="ENCRYPTION_KEY"):
        engine.run(GROUPS, made, quiet())
    assert harmed == place.read_text() if harm == "misspelt" else not place.exists()


def test_where_packages_come_from_is_closed_for_it_may_hold_tokens(tmp_path: Path) -> None:
    made, _ = setup(tmp_path, packages={"UV_INDEX_URL": "https://token@packages.test/"})
    engine.run(GROUPS, made, quiet())
    place = tmp_path / "etc/webops/packages.env"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600

    place.chmod(0o644)  # as an earlier version left it
    assert engine.run(GROUPS, made, quiet()) == 1
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert settings.told_before(made.machine)["UV_INDEX_URL"] == "https://token@packages.test/"


def test_what_an_administrator_added_stays(tmp_path: Path) -> None:
    made, _ = setup(tmp_path)
    engine.run(GROUPS, made, quiet())
    place = tmp_path / "etc/webops/panel.env"
    place.write_text(place.read_text() + "WEBOPS_CONCURRENCY=4\n")
    host = tmp_path / "etc/webops/host.toml"
    typed = host.read_text().replace("tasks = 1024", "tasks = 99")
    host.write_text("# mine\n" + typed.replace("open_ports = []", 'open_ports = ["8443/tcp"]'))

    told = answers.parse(settings.told_before(made.machine), ("192.0.2.7",))
    assert engine.run(GROUPS, dataclasses.replace(made, answers=told), quiet()) == 0
    assert "WEBOPS_CONCURRENCY=4" in place.read_text()
    assert host.read_text().startswith("# mine")
    assert "tasks = 99" in host.read_text()
    assert told.open_ports == ("8443/tcp",)


@pytest.mark.parametrize(
    ("was", "typed", "says"),
    [
        ('domain = "apps.test"', 'domain = "apps.test', "line 3"),
        ("memory_mib = 1536", 'memory_mib = "1536 MiB"', "'1536 MiB' is not a limit"),
        ("private = []", 'private = ["git.test"]', "private: 'git.test' is not a destination"),
    ],
    ids=["no TOML", "limit", "place"],
)
def test_decisions_that_can_not_be_read_are_refused_and_stay_as_they_are(
    tmp_path: Path, was: str, typed: str, says: str
) -> None:
    made, _ = setup(tmp_path)
    engine.run(GROUPS, made, quiet())
    host, panel = tmp_path / "etc/webops/host.toml", tmp_path / "etc/webops/panel.env"
    assert was in host.read_text()
    host.write_text(host.read_text().replace(was, typed))
    before = host.read_bytes(), panel.read_bytes()
    other, _ = setup(tmp_path / "other", domain="other.test", panel="panel.other.test")

    with pytest.raises(SetupError, match=f"/etc/webops/host.toml.*{says}") as refused:
        settings.told_before(made.machine)
    assert "Mend it" in refused.value.hint
    with pytest.raises(SetupError, match=says):
        engine.run(((decisions.STEP,),), dataclasses.replace(made, answers=other.answers), quiet())
    assert (host.read_bytes(), panel.read_bytes()) == before


def test_only_packages_that_were_missing_count_as_ours(tmp_path: Path) -> None:
    made, programs = setup(tmp_path)
    programs.packages = {"git", "nginx", "chrony"}
    engine.run(GROUPS, made, quiet())
    ours = packages.ours(made.machine)
    assert {"postgresql", "redis-server"} <= ours
    assert not {"git", "nginx", "systemd-timesyncd", *packages.WHERE_THERE} & ours


def test_postgresql_is_not_as_set_up_while_it_has_not_taken_its_settings_up(tmp_path: Path) -> None:
    made, programs = setup(tmp_path)
    programs.do_pg_lsclusters = lambda words: Result(0, "15 main 5432 online postgres /d /l")  # type: ignore[attr-defined]
    programs.do_setpriv = lambda words: Result(0, "t")  # type: ignore[attr-defined]
    folder = tmp_path / "etc/postgresql/15/main"
    (folder / "conf.d").mkdir(parents=True)
    (folder / "pg_hba.conf").write_text(postgres_hba.hba(""))
    (folder / "pg_ident.conf").write_text(postgres_hba.ident())
    (folder / postgres_prepare.SETTINGS).write_text(postgres_hba.settings(15))
    state = tmp_path / str(postgres_prepare.STATE).lstrip("/")
    state.mkdir(parents=True)
    (state / postgres_prepare.RECORD).write_text("{}")
    assert postgres.is_prepared(made.machine)

    (state / postgres_prepare.DUE).write_text("restart")  # a run was killed right after it wrote them
    assert not postgres.is_prepared(made.machine)


def test_a_redis_that_was_there_before_is_left_alone(tmp_path: Path) -> None:
    made, programs = setup(tmp_path)
    programs.packages, programs.enabled = {"redis-server"}, {"redis-server.service"}
    engine.run(GROUPS, made, quiet())
    assert "redis-server.service" in programs.enabled


def test_a_user_with_another_number_is_refused(tmp_path: Path) -> None:
    made, _ = setup(tmp_path)
    with (tmp_path / "etc/passwd").open("a") as file:
        file.write("webops-fetch:x:1234:1234::/:/bin/false\n")
    with pytest.raises(SetupError, match="1234"):
        engine.run(GROUPS, made, quiet())


def test_a_unit_of_an_older_version_is_retired(tmp_path: Path) -> None:
    made, programs = setup(tmp_path)
    engine.run(GROUPS, made, quiet())
    old = tmp_path / "etc/systemd/system/webops-old.timer"
    old.write_text("[Timer]\n")
    theirs = tmp_path / "etc/systemd/system/wo-blog--1-web-1.service"
    theirs.write_text("[Service]\n")

    assert engine.run(GROUPS, made, quiet()) > 0
    assert not old.exists()
    assert theirs.exists()
    assert ("systemctl", "disable", "--now", "--quiet", "webops-old.timer") in programs.ran


def test_a_step_that_does_not_hold_is_a_failure(tmp_path: Path) -> None:
    made, programs = setup(tmp_path)
    programs.do_groupadd = lambda words: programs.do_dpkg(words)  # type: ignore[method-assign]  # says yes, does nothing
    with pytest.raises(engine.StepFailed) as failure:
        engine.run(((accounts.STEP,),), made, quiet())
    assert failure.value.step == "accounts"
