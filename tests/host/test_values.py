"""Values that can not be wrong, to the last of their branches."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from webops_host import files
from webops_host.certificate_values import CertificateFacts, CertificateSource, HostCertificate
from webops_host.codec import dump, load
from webops_host.daemon.answers import LARGEST, Answers
from webops_host.database_values import new_dump
from webops_host.errors import BadValue, NotSupported
from webops_host.names import DumpId, HostName, PersonKey, PythonVersion, RelativePath
from webops_host.numbers import Offset, Positive
from webops_host.site_options import MOST_NETWORKS, Network, PasswordHash, SiteOptions, Visitor, WallEntry
from webops_host.values import GitHost, RepositoryUrl

ENTRY = WallEntry(Visitor("ada"), PasswordHash("$6$saltsalt$" + "a" * 86))


@pytest.mark.parametrize("port", [0, -1, 65536, True])
def test_a_port_is_a_number_of_a_port(port) -> None:
    with pytest.raises(BadValue, match="not a port"):
        GitHost(HostName("example.com"), port)


def test_an_address_is_written_plainly() -> None:
    usual, other = RepositoryUrl(HostName("example.com"), 443, "a/b.git"), GitHost(HostName("example.com"), 8443)
    assert (str(usual), usual.short_name) == ("https://example.com/a/b.git", "b")
    assert str(replace(usual, port=8443)) == "https://example.com:8443/a/b.git"
    assert (str(other), str(GitHost(HostName("example.com")))) == ("example.com:8443", "example.com")


def test_names_know_their_parts() -> None:
    assert PythonVersion("3.12").pair == (3, 12)
    assert [RelativePath("a").child("b"), RelativePath("").child("b"), RelativePath("a").child("")] == ["a/b", "b", "a"]
    assert PersonKey("DEBUG") == "DEBUG"
    with pytest.raises(BadValue, match="set by the platform"):
        PersonKey("Path")
    assert DumpId(new_dump())


@pytest.mark.parametrize("text", ["1.2.3.4/33", "::g", "10.0.0.1/8", "2001:0db8::1", "01.2.3.4"])
def test_a_network_has_one_way_to_be_written(text) -> None:
    with pytest.raises(BadValue):
        Network(text)


@pytest.mark.parametrize(
    "options",
    [
        {"body_limit_mib": 0},
        {"body_limit_mib": True},
        {"wall": (ENTRY, ENTRY)},
        {"allow": (Network("203.0.113.7"),) * (MOST_NETWORKS + 1)},
    ],
)
def test_options_have_their_limits(options) -> None:
    assert SiteOptions(wall=(ENTRY,), allow=(Network("203.0.113.7"),))
    with pytest.raises(BadValue):
        SiteOptions(**options)


def test_a_certificate_is_served_when_it_is_what_the_web_server_shows() -> None:
    facts = CertificateFacts(("example.com",), "A company", 0.0, 1.0, "ab")
    shown = HostCertificate("example.com", CertificateSource.ACME, facts, True, "ab")
    assert shown.is_served
    assert not replace(shown, on_the_wire="cd").is_served


@pytest.mark.parametrize(("kind", "number"), [(Positive, 0), (Positive, -1), (Positive, 1 << 31), (Offset, -1)])
def test_priv_02_a_number_outside_of_its_range_is_refused(kind, number) -> None:
    assert load(kind, 1) == 1
    with pytest.raises(BadValue, match="not a number from"):
        load(kind, number)


def test_what_has_no_form_in_json_is_a_defect_of_ours() -> None:
    with pytest.raises(TypeError):
        dump(object())
    with pytest.raises(TypeError):
        load(complex, "1")


def test_a_file_that_can_not_be_written_whole_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        files.write_whole(tmp_path / "taken", b"new")
    assert os.listdir(tmp_path) == ["taken"]


def test_a_folder_that_is_not_ours_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(NotSupported):
        files.private_folder(tmp_path / "link")
    open_ = tmp_path / "open"
    open_.mkdir(mode=0o755)
    assert files.private_folder(open_).stat().st_mode & 0o077 == 0


def test_priv_04_an_answer_too_large_for_the_disk_is_remembered_while_the_daemon_lives(tmp_path: Path) -> None:
    answers, large = Answers(tmp_path / "answers.sqlite3"), b"x" * (LARGEST + 1)
    assert answers.once("id-000001", b"line", lambda: large) == large
    assert answers.once("id-000001", b"line", lambda: b"again") == large
    answers.close()
    assert answers.once("id-000001", b"line", lambda: b"again") == large
    assert answers.once("id-000002", b"line", lambda: b"new") == b"new"
    answers.close()
