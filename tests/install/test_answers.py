"""What an administrator may answer, where from, and which answers are refused with their name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webops_install import answers, settings
from webops_install.errors import SetupError

HERE = ("203.0.113.7", "2001:db8::7")


def test_without_a_word_everything_has_a_default() -> None:
    found = answers.parse({}, HERE)
    assert (found.domain, found.panel) == ("203-0-113-7.sslip.io", "panel.203-0-113-7.sslip.io")
    assert found.addresses == HERE
    assert found.acme_server.startswith("https://acme-v02.")


def test_an_address_that_was_told_names_the_platform() -> None:
    found = answers.parse({"addresses": "198.51.100.9"}, ("10.0.0.5",))
    assert (found.domain, found.addresses) == ("198-51-100-9.sslip.io", ("198.51.100.9",))


@pytest.mark.parametrize(
    "told",
    [
        {"domain": "apps.test; rm"},
        {"domain": "apps.test\nevil"},
        {"panel": "*.apps.test"},
        {"email": "no address"},
        {"acme_server": "http://acme.test/dir"},
        {"acme_ca": "relative.pem"},
        {"addresses": "300.1.1.1"},
        {"private": "git.internal"},
        {"private": "git.internal:99999"},
        {"ssh_ports": "22,no"},
        {"open_ports": "8443"},
        {"open_ports": "8443/tcp, 99999/udp"},
    ],
    ids=lambda told: "-".join(told),
)
def test_a_wrong_answer_is_refused(told: dict[str, str]) -> None:
    with pytest.raises(SetupError):
        answers.parse(told, HERE)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "answers",
            "# ours\nWEBOPS_DOMAIN=apps.test\nprivate='a.test:1,b.test:2'\nexport UV_INDEX_URL=https://p.test/\n",
        ),
        (
            "answers.toml",
            'domain = "apps.test"\nprivate = ["a.test:1", "b.test:2"]\nUV_INDEX_URL = "https://p.test/"\n',
        ),
    ],
)
def test_a_file_of_answers(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = answers.parse(answers.from_file(tmp_path / name), HERE)
    assert (found.domain, found.private) == ("apps.test", ("a.test:1", "b.test:2"))
    assert found.packages == {"UV_INDEX_URL": "https://p.test/"}


@pytest.mark.parametrize("text", ["domian=apps.test", "just words", "LD_PRELOAD=/tmp/x.so"])
def test_what_is_no_answer_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "answers").write_text(text + "\n")
    with pytest.raises(SetupError):
        answers.from_file(tmp_path / "answers")


def test_the_environment_tells_where_packages_come_from_and_nothing_else() -> None:
    told = answers.from_environment(
        {
            "WEBOPS_DOMAIN": "apps.test",
            "HOME": "/home/a",
            "LD_PRELOAD": "x",
            "SSL_CERT_FILE": "/etc/ca.pem",
            "PIP_FIND_LINKS": "/opt/wheels",
            "https_proxy": "http://proxy.test:3128",
        }
    )
    assert told == {"domain": "apps.test", "SSL_CERT_FILE": "/etc/ca.pem", "https_proxy": "http://proxy.test:3128"}


def test_only_what_nobody_said_is_asked() -> None:
    asked: list[tuple[str, str]] = []

    def question(text: str, default: str) -> str:
        asked.append((text, default))
        return default

    told = answers.ask({"domain": "apps.test"}, HERE[0], question)
    assert [default for _, default in asked] == ["panel.apps.test", ""]
    assert told["panel"] == "panel.apps.test"


@given(st.text(alphabet=st.characters(blacklist_characters="\0\n\r", blacklist_categories=("Cs",))))
def test_a_setting_is_read_back_as_it_was_written(value: str) -> None:
    text = settings.render_environment({"SECRET": value}, "a comment")
    assert settings.read_environment(text) == {"SECRET": value}


def test_decisions_are_read_by_those_who_need_them() -> None:
    told = {"private": "[fd00::1]:443", "email": "a@apps.test", "open_ports": "8443/tcp 51820/udp"}
    found = answers.parse({"domain": "apps.test", **told}, HERE)
    text = settings.render_host(found, {"memory_mib": 1024, "cpu_percent": 200, "tasks": 64}, (22, 2222))
    assert settings.same_platform(text, "# another comment\n" + text)
    assert 'open_ports = ["8443/tcp", "51820/udp"]' in text
    assert not settings.same_platform(text, text.replace("2222", "2223"))
    assert not settings.same_platform(None, text)
