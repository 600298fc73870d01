"""host.toml as it is read: what it may say, and what is refused with its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webops_host.errors import BadValue
from webops_host.linux import platform
from webops_host.linux.platform import Destination, OpenPort

KEYS = (
    "domain", "panel", "acme_server", "acme_email", "acme_ca", "private", "ssh_ports", "addresses", "shares_nginx",
    "open_ports",
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


def parse(**decided: Any) -> platform.Platform:
    return platform.parse({"platform": {"domain": "apps.test", **decided}})


def test_a_domain_is_enough() -> None:
    found = parse()
    assert (found.panel, found.acme_server, found.ssh_ports) == ("panel.apps.test", platform.LETS_ENCRYPT, (22,))
    assert parse(private=["git.test:443"]).private == (Destination("git.test", 443),)
    assert parse(open_ports=["8443/tcp"]).open_ports == (OpenPort(8443, "tcp"),)


@pytest.mark.parametrize(
    ("decided", "key"),
    [
        ({"domain": "two words"}, "domain"),
        ({"domain": 3}, "domain"),
        ({"panel": ["panel.test"]}, "panel"),
        ({"acme_email": 3}, "acme_email"),
        ({"private": "git.test:443"}, "private"),
        ({"private": [443]}, "private"),
        ({"private": ["git.test:²"]}, "private"),
        ({"ssh_ports": 22}, "ssh_ports"),
        ({"ssh_ports": [True]}, "ssh_ports"),
        ({"open_ports": "8443/tcp"}, "open_ports"),
        ({"open_ports": [8443]}, "open_ports"),
        ({"open_ports": ["8443"]}, "open_ports"),
        ({"open_ports": ["0/tcp"]}, "open_ports"),
        ({"open_ports": ["65536/udp"]}, "open_ports"),
        ({"open_ports": ["8443/sctp"]}, "open_ports"),
        ({"open_ports": ["²/tcp"]}, "open_ports"),
        ({"open_ports": ["22-90/tcp"]}, "open_ports"),
        ({"addresses": "192.0.2.7"}, "addresses"),
        ({"addresses": [7]}, "addresses"),
        ({"shares_nginx": "no"}, "shares_nginx"),
    ],
    ids=str,
)
def test_a_wrong_value_is_told_with_its_key(decided: dict[str, Any], key: str) -> None:
    with pytest.raises(BadValue, match=f"^/etc/webops/host.toml, {key}: ") as refused:
        parse(**decided)
    assert refused.value.hint


@pytest.mark.parametrize("limits", [3, {"memory_mib": "1536 MiB"}, {"memory_mib": 1}, {"memory": 512}], ids=str)
def test_limits_that_are_none(limits: object) -> None:
    with pytest.raises(BadValue, match=r"^/etc/webops/host\.toml, limits: "):
        platform.parse({"platform": {"domain": "apps.test"}, "limits": limits})


@given(st.dictionaries(st.sampled_from(KEYS), ANYTHING), ANYTHING)
def test_whatever_it_says_it_is_read_or_refused(decided: dict[str, Any], limits: object) -> None:
    for data in ({"platform": {"domain": "apps.test", **decided}, "limits": limits}, {"platform": limits}):
        try:
            platform.parse(data)
        except BadValue:
            continue


@pytest.mark.parametrize(
    ("content", "says"),
    [(b'[platform]\ndomain = "apps.test\n', "line 2"), (b"\xff", "can not be read"), (b"", "domain")],
    ids=["broken", "no text", "empty"],
)
def test_a_file_that_can_not_be_read_says_where(tmp_path: Path, content: bytes, says: str) -> None:
    (file := tmp_path / "host.toml").write_bytes(content)
    with pytest.raises(BadValue, match=says):
        platform.read(file)
    with pytest.raises(BadValue, match="can not be read"):
        platform.read(tmp_path / "none.toml")
