"""Which addresses may be connected to."""

from __future__ import annotations

import pytest

from webops_host.addresses import is_allowed, resolve
from webops_host.errors import AddressRefused, FetchFailed
from webops_host.names import HostName

NAME = HostName("git.example.com")

PUBLIC = ("8.8.8.8", "140.82.121.3", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1")
SPELLINGS = (
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "１２７.0.0.1", "127.0.0.1.", "localhost",
    "::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe", "2606:4700::5efe:7f00:1", "2606:4700::200:5efe:a00:1",
)  # fmt: skip
CLASSES = (
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "169.254.169.254", "172.16.0.1", "192.0.0.192", "192.0.2.1", "192.168.1.1",
    "168.63.129.16", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "100::1", "2001:db8::1", "3fff::1", "fc00::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
    "64:ff9b:1::1", "2001:0:7f00:1::1",
)  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str):
    assert is_allowed(address)


@pytest.mark.parametrize("address", SPELLINGS)
def test_ssrf_01_spellings_of_this_machine_are_refused(address: str):
    assert not is_allowed(address)


@pytest.mark.parametrize("address", CLASSES)
def test_ssrf_02_addresses_that_are_not_public_are_refused(address: str):
    assert not is_allowed(address)


def test_ssrf_03_a_name_is_resolved_once_and_the_answer_is_what_is_used():
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    assert resolve(NAME, 443, private=False, resolver=lambda host, port: next(answers)) == ("8.8.8.8",)
    assert next(answers) == ["127.0.0.1"]


def test_ssrf_04_one_private_answer_among_public_ones_refuses_the_name():
    with pytest.raises(AddressRefused):
        resolve(NAME, 443, private=False, resolver=lambda host, port: ["8.8.8.8", "10.0.0.1"])


def test_ssrf_07_the_refusal_names_no_address():
    with pytest.raises(AddressRefused) as caught:
        resolve(NAME, 443, private=False, resolver=lambda host, port: ["10.20.30.40"])
    assert "10.20.30.40" not in f"{caught.value} {caught.value.hint} {caught.value.facts}"


def test_a_server_that_an_administrator_named_may_be_anywhere():
    assert resolve(NAME, 8443, private=True, resolver=lambda host, port: ["10.0.0.1", "::1"]) == ("10.0.0.1", "::1")


def test_a_name_that_leads_nowhere_is_unreachable():
    def nothing(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    for resolver in (nothing, lambda host, port: []):
        with pytest.raises(FetchFailed) as caught:
            resolve(NAME, 443, private=False, resolver=resolver)
        assert caught.value.facts["reason"] == "unreachable"
