"""What a certificate says is read from its bytes, and each name gets the one that counts most."""

from __future__ import annotations

import subprocess
import time
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from webops_host.certificate_values import CertificateFacts
from webops_host.errors import BadValue
from webops_host.linux import tls_files, x509
from webops_host.linux.layout import ServerLayout
from webops_host.linux.nginx_parts import TlsFiles
from webops_host.names import HostName

CA = trustme.CA(organization_name="Test Authority", organization_unit_name="CA")
LEAF = CA.issue_cert("a.example", "*.b.example")
PEM = b"".join(part.bytes() for part in LEAF.cert_chain_pems)


def test_it_says_what_openssl_says(tmp_path):
    file = tmp_path / "leaf.pem"
    file.write_bytes(PEM)
    words = ["openssl", "x509", "-in", str(file), "-noout", "-fingerprint", "-sha256", "-startdate", "-enddate"]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    facts = x509.facts(PEM)
    assert facts.fingerprint == said.splitlines()[0].partition("=")[2].replace(":", "").lower()
    for line, moment in zip(said.splitlines()[1:], (facts.not_before, facts.not_after), strict=True):
        assert time.strftime("%b %e %H:%M:%S %Y GMT", time.gmtime(moment)) == line.partition("=")[2]
    assert facts.names == ("a.example", "*.b.example")
    assert facts.issuer.startswith("Test Authority")
    assert not facts.self_signed


def test_an_authority_signs_itself():
    assert x509.facts(CA.cert_pem.bytes()).self_signed


def test_a_star_is_one_label():
    facts = x509.facts(PEM)
    for host, covered in (("a.example", True), ("x.b.example", True), ("b.example", False), ("x.y.b.example", False),
                          ("example", False), ("z.example", False)):  # fmt: skip
        assert facts.covers(host) is covered


@pytest.mark.parametrize(
    "pem",
    [b"", b"x", PEM[:200], PEM.replace(b"M", b"!", 1), b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"],
)
def test_what_is_no_certificate_is_refused(pem):
    with pytest.raises(BadValue):
        x509.facts(pem)


DER = x509.certificates(PEM)[0]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    with pytest.raises(BadValue):
        x509.facts_of(data)


@given(st.integers(0, len(DER) - 1), st.integers(0, 255))
def test_a_certificate_with_a_changed_byte_is_read_or_refused(place, byte):
    changed = DER[:place] + bytes([byte]) + DER[place + 1 :]
    try:
        assert isinstance(x509.facts_of(changed), CertificateFacts)
    except BadValue:
        return


def lay(folder, *names: str, expired: bool = False):
    ends = datetime.now(UTC) - timedelta(days=1) if expired else None
    made = CA.issue_cert(*names, not_after=ends)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fullchain.pem").write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
    (folder / "privkey.pem").write_bytes(made.private_key_pem.bytes())
    return TlsFiles(folder / "fullchain.pem", folder / "privkey.pem")


def test_each_name_gets_the_certificate_that_counts_most(tmp_path):
    layout = ServerLayout(tmp_path / "srv", tmp_path / "etc", variable=tmp_path / "var")
    own, bare, www = HostName("blog.apps.test"), HostName("example.com"), HostName("www.example.com")
    platform = lay(layout.platform_tls, "*.apps.test")
    assert tls_files.chosen(layout, "blog", (own, bare)) == {own: platform, bare: platform}
    acme = lay(tls_files.lineage(layout, "blog"), bare, www)
    assert tls_files.chosen(layout, "blog", (own, bare, www)) == {own: platform, bare: acme, www: acme}
    uploaded = lay(layout.settings / "tls/blog", www)
    assert tls_files.chosen(layout, "blog", (own, bare, www)) == {own: platform, bare: acme, www: uploaded}
    lay(layout.settings / "tls/blog", www, expired=True)
    assert tls_files.chosen(layout, "blog", (www,)) == {www: acme}
    acme.chain.write_text("broken")
    assert tls_files.chosen(layout, "blog", (www,)) == {www: uploaded}, "its end is told; of the platform's nothing is"
    uploaded.chain.write_text("broken")
    assert tls_files.chosen(layout, "blog", (www,)) == {www: platform}
