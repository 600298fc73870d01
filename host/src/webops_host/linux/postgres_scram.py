"""SCRAM-SHA-256 (RFC 5802, RFC 7677) as PostgreSQL uses it: what the server keeps of a password, and how to prove one.

The server is given the verifier and never the password, so no log of it can hold one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

ROUNDS = 4096


def verifier(password: str, salt: bytes | None = None) -> str:
    """What PASSWORD '…' of CREATE ROLE takes instead of the password."""
    salt = salt or secrets.token_bytes(16)
    salted = _salted(password, salt, ROUNDS)
    stored = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    server = _hmac(salted, b"Server Key")
    return f"SCRAM-SHA-256${ROUNDS}:{_text(salt)}${_text(stored)}:{_text(server)}"


class Proof:
    """One exchange on the client's side. Raises ValueError when the server's messages do not fit."""

    def __init__(self, password: str, nonce: str | None = None) -> None:
        self._password = password
        self._nonce = nonce or secrets.token_urlsafe(18)
        self._bare = f"n=,r={self._nonce}"
        self._signature = b""

    def first(self) -> bytes:
        return f"n,,{self._bare}".encode()

    def final(self, challenge: bytes) -> bytes:
        """The answer to the server's first message."""
        text = challenge.decode("ascii")
        fields = dict(part.split("=", 1) for part in text.split(","))
        nonce, salt, rounds = fields.get("r", ""), base64.b64decode(fields.get("s", "")), int(fields.get("i", "0"))
        if not nonce.startswith(self._nonce) or not salt or not 1 <= rounds <= 1_000_000:
            raise ValueError("the server's challenge does not fit")
        salted = _salted(self._password, salt, rounds)
        client = _hmac(salted, b"Client Key")
        without = f"c=biws,r={nonce}"
        whole = f"{self._bare},{text},{without}".encode()
        signature = _hmac(hashlib.sha256(client).digest(), whole)
        proof = bytes(a ^ b for a, b in zip(client, signature, strict=True))
        self._signature = _hmac(_hmac(salted, b"Server Key"), whole)
        return f"{without},p={_text(proof)}".encode()

    def check(self, outcome: bytes) -> None:
        """Whether the server knew the password too."""
        if not hmac.compare_digest(outcome, b"v=" + _text(self._signature).encode()):
            raise ValueError("the server did not prove itself")


def _salted(password: str, salt: bytes, rounds: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, rounds)


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
