"""What runs outside the daemon for certificates: certbot, and the look at names and addresses."""

from __future__ import annotations

import pytest

from webops_host.errors import CertificateRefused
from webops_host.linux import certbot, reach
from webops_host.linux.certbot import Certbot
from webops_host.linux.layout import ServerLayout
from webops_host.linux.platform import Platform
from webops_host.linux.reach import Answer, Question
from webops_host.names import HostName
from webops_host.runner import Result

# --- certbot ---------------------------------------------------------------------------------------------------


def test_certbot_runs_in_a_unit_that_may_write_nothing_but_its_own():
    platform = Platform(
        HostName("a.test"), HostName("p.test"), "https://acme.test/dir", "ada@example.com", "/etc/ca.pem"
    )
    ran = []
    Certbot(ServerLayout(), platform, run=lambda command, *_, **__: (ran.append(command), Result(0, ""))[1]).obtain(
        "blog", ["a.example", "b.example"]
    )
    words = ran[0].argv
    line = " ".join(words)
    assert words[0] == "/usr/bin/systemd-run"
    for part in (
        "--property ReadWritePaths=/var/lib/webops/certbot /var/lib/webops/acme",
        "--property CapabilityBoundingSet= ",
        "--property Environment=REQUESTS_CA_BUNDLE=/etc/ca.pem",
        "-- /opt/webops/current/certbot/bin/certbot certonly --webroot --webroot-path /var/lib/webops/acme",
        "--server https://acme.test/dir --agree-tos --email ada@example.com",
        "--cert-name blog --domain a.example --domain b.example",
    ):
        assert part in line


def test_rel_14_an_account_that_the_authority_forgot_is_made_anew_once(tmp_path):
    platform = Platform(HostName("a.test"), HostName("p.test"), "https://acme.test:14000/dir")
    account = tmp_path / "certbot/accounts/acme.test:14000/dir"
    account.mkdir(parents=True)
    said = [
        Result(1, "An unexpected error occurred:\nAccount https://acme.test/my-account/1 not found."),
        Result(0, ""),
    ]
    Certbot(ServerLayout(variable=tmp_path), platform, run=lambda *_, **__: said.pop(0)).obtain("blog", ["a.example"])
    assert (said, account.exists(), account.parent.exists()) == ([], False, True)
    said += [Result(1, "Account x not found"), Result(1, "Account x not found")]
    with pytest.raises(CertificateRefused, match="Account x not found"):
        Certbot(ServerLayout(variable=tmp_path), platform, run=lambda *_, **__: said.pop(0)).obtain("blog", ["a"])


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("Certbot failed to authenticate some domains\n  Domain: a.example\n  Type:   unauthorized\n  Detail: 1.2.3.4: "
         "Invalid response from http://a.example/.well-known/x: 404\n\nHint: The Certificate Authority", "challenge"),
        ("these problems:\n  Identifier: a.example\n  Type:   connection\n  Detail: Get \"http://a.example/\": "
         "dial tcp 10.0.0.1:80: connect: connection refused\n\nHint: The", "challenge"),
        ("An unexpected error occurred:\nrequests.exceptions.ConnectionError: HTTPSConnectionPool(host='acme.test', "
         "port=14000): Max retries exceeded with url: /dir", "ca_down"),
        ("Error creating new order :: too many certificates", "rate_limited"),
        ("urn:ietf:params:acme:error:serverInternal :: The server is down", "ca_down"),
        ("Ask for help or search for solutions", "other"),
        ("", "other"),
    ],
)  # fmt: skip
def test_rel_14_why_there_is_no_certificate_is_read_from_what_certbot_says(output, reason):
    assert certbot.refused(output).facts["reason"] == reason


# --- the look from outside -------------------------------------------------------------------------------------


def looked(*addresses: str, said: str | None = "token", here: tuple[str, ...] = (), own: str = "203.0.113.1"):
    asked = []
    found = reach.checked(
        HostName("a.example"),
        Question(token="token", own=(own,)),
        look=lambda host: addresses,
        fetch=lambda address, host, token: (asked.append(address), said)[1],
        is_here=lambda address: address in here,
    )
    return found, asked


def test_a_name_leads_here_when_every_address_answers_with_the_token():
    found, asked = looked("93.184.216.34", "2606:4700::1")
    assert (found.ok, asked) == (True, ["93.184.216.34", "2606:4700::1"])
    assert looked("10.0.0.7", here=("10.0.0.7",))[0].ok


def test_rel_14_a_name_that_does_not_lead_here_is_told_with_the_record_to_set():
    found, _ = looked("93.184.216.34", said="<html>other")
    assert (found.ok, found.record) == (False, "a.example. A 203.0.113.1")
    assert found.problem == "a.example leads to 93.184.216.34, where another server answers."
    assert "port 80 can not be reached" in looked("93.184.216.34", said=None)[0].problem
    assert "no address in the DNS" in looked()[0].problem
    assert looked("93.184.216.34", said=None, own="93.184.216.34")[0].ok, "behind a router of its own"


def test_behind_a_cdn_a_server_without_ipv6_looks_where_it_can():
    def look(said: dict[str, str], **more) -> bool:
        question = Question(token="token", own=("203.0.113.1",), **more)
        return reach.checked(
            HostName("a.example"),
            question,
            look=lambda host: ("104.16.0.1", "2606:4700::1"),
            fetch=lambda address, host, token: said.get(address),
            is_here=lambda address: False,
        ).ok

    here = {"104.16.0.1": "token"}
    assert look(here, proxied=True)
    assert not look(here), "the authority asks at IPv6 first"
    assert not look({}, proxied=True)
    assert not look({**here, "2606:4700::1": "other"}, proxied=True)


@pytest.mark.parametrize(
    "address", ["10.0.0.7", "127.0.0.2", "169.254.169.254", "::1", "fe80::1", "::ffff:10.0.0.7", "fc00::1"]
)
def test_ssrf_02_no_private_address_is_knocked_at(address):
    found, asked = looked(address)
    assert (found.ok, asked) == (False, [])
    assert "no public address" in found.problem


def test_an_address_of_this_machine_is_known_by_binding_to_it():
    assert reach.is_local("127.0.0.1")
    assert not reach.is_local("203.0.113.1")


def test_the_look_is_a_program_of_its_own():
    sent = []

    def run(command):
        sent.append(command)
        return b'{"names": [], "wire": ["aa"]}'

    assert reach.ask(Question(wire=(HostName("a.example"),)), run=run) == Answer((), ("aa",))
    assert sent[0].argv[-3:] == ("/usr/bin/python3", "-I", "/opt/webops/current/host/reach.py")
    assert b'"wire": ["a.example"]' in sent[0].stdin
