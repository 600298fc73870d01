"""SHA-512-crypt in Python: the same as openssl's, and a kind that the web server takes."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.passwords import hashed
from webops_host.site_options import PasswordHash

DREPPER = "OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v."
"""From the scheme's own description."""


def test_it_is_the_scheme():
    assert (
        hashed("Hello world!", salt="saltstringsaltst", rounds=10_000) == f"$6$rounds=10000$saltstringsaltst${DREPPER}"
    )


@pytest.mark.parametrize("password", ["a", "x" * 63, "x" * 64, "x" * 65, "z" * 200, "pässwörd ☃", "$6$ :'\"\\"])
def test_openssl_says_the_same(password):
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    words = [program, "passwd", "-6", "-salt", "abcdEFGH12345678", "-stdin"]
    done = subprocess.run(words, input=password, capture_output=True, text=True, check=True)
    assert hashed(password, salt="abcdEFGH12345678", rounds=5000) == done.stdout.strip()


@settings(max_examples=25, deadline=None)
@given(st.text(min_size=1, max_size=80))
def test_every_password_has_a_hash_that_a_wall_takes(password):
    one, other = hashed(password), hashed(password)
    assert PasswordHash(one).startswith("$6$rounds=1000$")
    assert one != other  # each has a salt of its own
    salt = one.split("$")[3]
    assert hashed(password, salt=salt) == one
