"""Passwords for a web server's wall, kept as crypt(5) keeps them: SHA-512 in Ulrich Drepper's scheme, `$6$`.

Python's own `crypt` is gone from 3.13 on, and nginx takes what the system's crypt takes. The web server computes this
again for every single request, so the rounds are the fewest that the scheme allows: a wall keeps passers-by out, and
must not be a way to keep the server busy.
"""

from __future__ import annotations

import hashlib
import secrets

ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FEWEST_ROUNDS, USUAL_ROUNDS = 1000, 5000


def hashed(password: str, *, salt: str = "", rounds: int = FEWEST_ROUNDS) -> str:
    """The hash with its salt, a fresh one unless it is given."""
    salt = (salt or "".join(secrets.choice(ALPHABET) for _ in range(16)))[:16]
    told = "" if rounds == USUAL_ROUNDS else f"rounds={rounds}$"
    return f"$6${told}{salt}${_encoded(_digest(password.encode(), salt.encode(), rounds))}"


def _digest(password: bytes, salt: bytes, rounds: int) -> bytes:
    """The steps of the scheme, by the numbers of its description."""
    found = _start(password, salt)
    p = _repeated(hashlib.sha512(password * len(password)).digest(), len(password))
    s = _repeated(hashlib.sha512(salt * (16 + found[0])).digest(), len(salt))
    for number in range(rounds):
        made = hashlib.sha512(p if number % 2 else found)
        made.update(s if number % 3 else b"")
        made.update(p if number % 7 else b"")
        made.update(found if number % 2 else p)
        found = made.digest()
    return found


def _start(password: bytes, salt: bytes) -> bytes:
    inner = hashlib.sha512(password + salt + password).digest()
    made = hashlib.sha512(password + salt + _repeated(inner, len(password)))
    length = len(password)
    while length:
        made.update(inner if length & 1 else password)
        length >>= 1
    return made.digest()


def _repeated(block: bytes, length: int) -> bytes:
    return (block * (length // len(block) + 1))[:length]


def _encoded(digest: bytes) -> str:
    """Three bytes at a time, in the scheme's own order, six bits for each sign."""
    made = []
    a, b, c = 0, 21, 42
    for _ in range(21):
        made.append(_signs(digest[a] << 16 | digest[b] << 8 | digest[c], 4))
        a, b, c = b + 1, c + 1, a + 1
    made.append(_signs(digest[63], 2))
    return "".join(made)


def _signs(number: int, count: int) -> str:
    return "".join(ALPHABET[number >> 6 * place & 63] for place in range(count))
