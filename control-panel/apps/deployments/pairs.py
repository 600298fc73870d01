"""Certificates that somebody uploads, with their keys."""

from __future__ import annotations

from typing import NoReturn

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from apps.core.clock import now
from apps.core.errors import Invalid

LARGEST = 64 * 1024
MOST_IN_CHAIN = 10


def refuse_bad(chain: str, key: str) -> None:
    """Raise Invalid with the field unless this is a certificate that is good now, with its own key."""
    certificates = _chain(chain)
    private = _key(key)
    first = certificates[0]
    if first.not_valid_after_utc < now():
        _refuse("chain", f"This certificate ended on {first.not_valid_after_utc:%-d %B %Y}.")
    public = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if first.public_key().public_bytes(*public) != private.public_key().public_bytes(*public):
        _refuse("key", "This key does not belong to the certificate; the certificate of the site has to come first.")


def _chain(text: str) -> list[x509.Certificate]:
    try:
        if len(text) > LARGEST or "PRIVATE KEY" in text:
            raise ValueError
        found = x509.load_pem_x509_certificates(text.encode("ascii"))
    except ValueError:
        _refuse("chain", "Paste certificates in PEM form, from BEGIN CERTIFICATE to END CERTIFICATE, without the key.")
    if len(found) > MOST_IN_CHAIN:
        _refuse("chain", f"At most {MOST_IN_CHAIN} certificates.")
    return found


def _key(text: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    try:
        if len(text) > LARGEST:
            raise ValueError
        found = serialization.load_pem_private_key(text.encode("ascii"), password=None)
    except (ValueError, TypeError):
        _refuse("key", "Paste the private key in PEM form, without a password on it.")
    if not isinstance(found, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        _refuse("key", "Browsers take RSA and elliptic-curve (P-256, P-384) keys only.")
    if isinstance(found, rsa.RSAPrivateKey) and found.key_size < 2048:
        _refuse("key", "This RSA key is shorter than 2048 bits.")
    return found


def _refuse(field: str, text: str) -> NoReturn:
    raise Invalid(text, fields={field: [text]})
