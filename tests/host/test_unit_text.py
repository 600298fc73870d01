"""Unit files hold values and nothing else: read back by the rules of systemd.syntax(7), each is what went in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webops_host.errors import BadValue
from webops_host.linux import unit_text

WORDS = st.text(st.characters(blacklist_characters="\x00", blacklist_categories=("Cs",)), max_size=40)
ESCAPES = {"\\": "\\", '"': '"'}


def read_words(line: str) -> list[str]:
    """What systemd makes of an Exec line of quoted words: escapes, `%%` and `$$` undone."""
    words, rest = [], line
    while rest:
        assert rest[0] == '"'
        word, position = [], 1
        while rest[position] != '"':
            if rest[position] == "\\" and rest[position + 1] == "x":
                word.append(chr(int(rest[position + 2 : position + 4], 16)))
                position += 4
            elif rest[position] == "\\":
                word.append(ESCAPES[rest[position + 1]])
                position += 2
            elif rest[position] in "%$":
                assert rest[position + 1] == rest[position], "it would be expanded"
                word.append(rest[position])
                position += 2
            else:
                word.append(rest[position])
                position += 1
        words.append("".join(word))
        rest = rest[position + 1 :].removeprefix(" ")
    return words


@given(st.lists(WORDS, min_size=1, max_size=5))
def test_words_are_read_back_as_they_were_and_stay_on_one_line(words: list[str]) -> None:
    line = unit_text.exec_words(words)
    assert "\n" not in line
    assert "\r" not in line
    assert read_words(line) == words


def read_variables(text: str) -> dict[str, str]:
    """An EnvironmentFile of double-quoted values, as systemd.exec(5) reads it."""
    found, position = {}, 0
    while position < len(text):
        end = text.index('="', position)
        key, position, value = text[position:end], end + 2, []
        while text[position] != '"':
            if text[position] == "\\":
                assert text[position + 1] in '\\"$`'
                position += 1
            value.append(text[position])
            position += 1
        assert text[position + 1] == "\n"
        found[key] = "".join(value)
        position += 2
    return found


@given(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,10}", fullmatch=True), WORDS, max_size=5))
def test_inj_10_variables_are_read_back_byte_for_byte(values: dict[str, str]) -> None:
    assert read_variables(unit_text.variables(values)) == values


@pytest.mark.parametrize("value", ["1G\nUser=root", "a\r", "x\x00", "ends with \\"])
def test_inj_09_a_value_can_not_begin_a_line_of_its_own(value: str) -> None:
    with pytest.raises(BadValue):
        unit_text.unit({"Service": [("MemoryMax", value)]})


@pytest.mark.parametrize("key", ["User\nX", "", "user", "A B"])
def test_a_key_is_a_key(key: str) -> None:
    with pytest.raises(BadValue):
        unit_text.unit({"Service": [(key, "x")]})


def test_a_nul_is_refused_where_no_environment_could_carry_it() -> None:
    with pytest.raises(BadValue, match="NUL"):
        unit_text.variables({"KEY": "a\x00b"})
    with pytest.raises(BadValue, match="NUL"):
        unit_text.exec_words(["a\x00"])
    with pytest.raises(BadValue, match="not text"):
        unit_text.variables({"KEY": "\udc80"})


def test_a_path_with_a_percent_sign_is_no_specifier() -> None:
    assert unit_text.text("/srv/100%u") == "/srv/100%%u"
