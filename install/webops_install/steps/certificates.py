"""The platform's own authority, and its fallback certificate: HTTPS answers for every name from the first moment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from webops_install.change import Change, file
from webops_install.machine import Machine
from webops_install.step import Setup, Step

FOLDER = "/etc/webops/tls/.platform"
REQUEST = f"{FOLDER}/request.cnf"
DAYS_AUTHORITY, DAYS, DAYS_LEFT = 3650, 397, 30
"""397 days are the most that browsers take."""


def names(setup: Setup) -> list[str]:
    answers = setup.answers
    return list(dict.fromkeys((answers.panel, answers.domain, f"*.{answers.domain}")))


def render_request(wanted: list[str]) -> str:
    """What the certificate is for, as openssl's configuration."""
    alternatives = ",".join(f"DNS:{name}" for name in wanted)
    return f"""\
[req]
distinguished_name = name
prompt = no
[name]
CN = WebOps, this server
[ca]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[site]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = {alternatives}
"""


def _plan(setup: Setup) -> Iterator[Change]:
    machine = setup.machine
    wanted = names(setup)
    made_for = f"{FOLDER}/names"  # written last: what was broken off is begun again
    is_right = machine.text(made_for) == _lines(wanted) and machine.exists(f"{FOLDER}/fullchain.pem")
    if not machine.exists(f"{FOLDER}/authority.pem"):
        yield from file(machine, REQUEST, render_request(wanted), 0o600)
        yield Change("make the platform's own certificate authority", lambda: _authority(machine))
    if not is_right or not _lasts(machine):
        yield from file(machine, REQUEST, render_request(wanted), 0o600)
        yield Change(f"make a certificate for {', '.join(wanted)}", lambda: _certificate(machine))
        yield from file(machine, made_for, _lines(wanted))


def _lines(wanted: list[str]) -> str:
    return "\n".join(wanted) + "\n"


def _lasts(machine: Machine) -> bool:
    left = str(DAYS_LEFT * 86_400)
    certificate = machine.at(f"{FOLDER}/fullchain.pem")
    return machine.says_yes("openssl", "x509", "-in", certificate, "-noout", "-checkend", left)


def _authority(machine: Machine) -> None:
    key, fresh = machine.at(f"{FOLDER}/authority.key"), machine.at(f"{FOLDER}/.authority.pem.new")
    machine.run(*_KEY, key)
    machine.run(
        "openssl", "req", "-x509", "-new", "-key", key, "-days", str(DAYS_AUTHORITY), "-sha256",
        "-config", machine.at(REQUEST), "-extensions", "ca", "-out", fresh,
    )  # fmt: skip
    _take(machine, fresh, "authority.pem")


def _certificate(machine: Machine) -> None:
    """The key before the certificate, both under other names until both are there."""
    folder = machine.at(FOLDER)
    key, asked, fresh = folder / ".privkey.pem.new", folder / ".asked.pem", folder / ".fullchain.pem.new"
    machine.run(*_KEY, key)
    machine.run("openssl", "req", "-new", "-key", key, "-config", machine.at(REQUEST), "-out", asked)
    machine.run(
        "openssl", "x509", "-req", "-in", asked, "-CA", folder / "authority.pem", "-CAkey", folder / "authority.key",
        "-days", str(DAYS), "-sha256", "-set_serial", f"0x{_serial(machine)}",
        "-extfile", machine.at(REQUEST), "-extensions", "site", "-out", fresh,
    )  # fmt: skip
    if fresh.exists():
        fresh.write_text(fresh.read_text() + (folder / "authority.pem").read_text())
    asked.unlink(missing_ok=True)
    _take(machine, key, "privkey.pem")
    _take(machine, fresh, "fullchain.pem")


def _serial(machine: Machine) -> str:
    """A positive number of at most 20 bytes (RFC 5280, 4.1.2.2)."""
    said = machine.run("openssl", "rand", "-hex", "16").strip()
    return f"01{said}" if re.fullmatch(r"[0-9a-f]{32}", said) else "01"


def _take(machine: Machine, fresh: Path, name: str) -> None:
    if fresh.exists():  # a machine in a test has no openssl
        fresh.chmod(0o600)
        fresh.replace(machine.at(f"{FOLDER}/{name}"))


_KEY = ("openssl", "genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out")
STEP = Step("fallback certificate", _plan)
