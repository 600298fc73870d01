"""Pasted .env text, byte for byte."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.deployments import dotenv
from webops_host.errors import BadValue
from webops_host.names import PersonKey, VariableKey

KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_inj_10_what_is_written_is_read_back_byte_for_byte(variables):
    parsed = dotenv.parse(dotenv.dump(variables.items()))

    assert dict(parsed.pairs) == variables
    assert parsed.mistakes == ()


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_without_an_exception(text):
    dotenv.parse(text)


@pytest.mark.parametrize(
    "key", ["A=B", "LD_PRELOAD ", "", "path", "LD_PRELOAD", "WEBOPS_X", "1A", "A-B", "A\n", "gunicorn_cmd_args"]
)
def test_inj_10_bad_keys_are_refused(key):
    with pytest.raises(BadValue):
        PersonKey(key)


def test_the_platform_may_use_names_that_a_person_may_not():
    assert VariableKey("WEBOPS_HOSTS") == "WEBOPS_HOSTS"
    with pytest.raises(BadValue):
        VariableKey("LD_LIBRARY_PATH")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=b", "b"),
        ("export A=b", "b"),
        ("A = b ", "b"),
        ("A=", ""),
        ("A='b # c'", "b # c"),
        ("A=b # c", "b"),
        ("A=b#c", "b#c"),
        ("A=$HOME/x", "$HOME/x"),
        ('A="$HOME"', "$HOME"),
        ('A="a\\nb"', "a\nb"),
        ("A='a\\nb'", "a\\nb"),
        ('A="a\nb"', "a\nb"),
        ('A="it\'s" # note', "it's"),
        ('A="a\\"b"', 'a"b'),
        ("A=b\r\n", "b"),
        ("\ufeffA=b", "b"),
        ("A=x=y", "x=y"),
        ("A=1\nA=2", "2"),
    ],
)
def test_values_are_read_as_people_mean_them(text, expected):
    assert dotenv.parse(text).pairs == (("A", expected),)


@pytest.mark.parametrize(
    ("text", "line"), [("A=1\nhello\n", 2), ("A=1\n\nB='x\n", 3), ('A="x" y', 1), ("1A=x", 1), ("A-B=x", 1), ("=x", 1)]
)
def test_a_line_that_can_not_be_read_is_named(text, line):
    assert [mistake.line for mistake in dotenv.parse(text).mistakes] == [line]
