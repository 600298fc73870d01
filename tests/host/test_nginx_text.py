"""The writer of nginx configuration: whatever the value, nginx reads back that value and nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.nginx_words import read

from webops_host.errors import BadValue
from webops_host.linux.nginx_text import (
    DIRECTIVES,
    Entry,
    Pattern,
    Phrase,
    Variable,
    block,
    line,
    regex_of,
    render,
)

LITERAL = st.text(st.characters(exclude_characters="$", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=200)
VARIABLES = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True).map(Variable)
NAMES = st.sampled_from(sorted(DIRECTIVES))
LEAF = st.tuples(NAMES, st.lists(LITERAL, max_size=3), st.none())
TREE = st.recursive(LEAF, lambda below: st.tuples(NAMES, st.lists(LITERAL, max_size=3), st.lists(below, max_size=3)))


def words(word):
    [found] = read(render([line("return", word)]))
    assert found.body is None
    return found.words[1:]


@given(LITERAL)
def test_inj_08_a_literal_is_read_back_as_itself(text):
    assert words(text) == [text]


@given(st.lists(st.one_of(LITERAL, VARIABLES), max_size=6))
def test_inj_08_a_phrase_is_read_back_as_itself(parts):
    shown = "".join(f"${{{part.name}}}" if isinstance(part, Variable) else part for part in parts)
    assert words(Phrase(*parts)) == [shown]


@given(st.text(max_size=100))
def test_inj_08_any_text_is_one_word_or_refused(text):
    try:
        found = words(text)
    except BadValue:
        assert "$" in text or re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", text)
        return
    assert found == [text]


@given(TREE)
def test_inj_08_any_tree_is_read_back_as_itself(tree):
    def build(node):
        name, given_words, body = node
        return line(name, *given_words) if body is None else block(name, *given_words, body=map(build, body))

    def shown(found):
        return (found.name, found.words[1:], None if found.body is None else [shown(item) for item in found.body])

    def plain(node):
        name, given_words, body = node
        return (name, list(given_words), None if body is None else [plain(item) for item in body])

    assert [shown(found) for found in read(render([build(tree)]))] == [plain(tree)]


@given(LITERAL)
def test_the_pattern_of_a_text_matches_that_text_alone(text):
    assert re.fullmatch(regex_of(text), text)
    assert not re.fullmatch(regex_of(text), text + "x")
    assert words(Pattern(f"^{regex_of(text)}$")) == [f"^{regex_of(text)}$"]


@pytest.mark.parametrize(
    "text",
    ["a; } server {", "a b", "{", "}", ";", "#x", '"', "'", "\\", "\\n", 'a"b', "ünï", "", "~x", "a#b", "x{y}", "\\\\"],
)
def test_inj_08_what_means_something_to_nginx_means_nothing_inside_a_word(text):
    assert words(text) == [text]


@pytest.mark.parametrize(
    "text", ["$host", "a\nb", "a\r\nb", "\0", "\x1b[0m", "a\u2028b", "\ud800", "x" * 4000, '"' * 2000, "\x85"]
)
def test_inj_08_what_no_word_can_hold_is_refused(text):
    with pytest.raises(BadValue):
        render([line("return", text)])


@pytest.mark.parametrize("word", [True, None, 1.5, b"x", ["x"]])
def test_only_words_are_written(word):
    with pytest.raises(BadValue):
        render([line("return", word)])


@pytest.mark.parametrize("name", ["rewrite", "if", "set", "lua_code", "load_module", "env", "user", "error_log", "x y"])
def test_ngx_02_only_directives_of_the_list_can_be_written(name):
    with pytest.raises(BadValue):
        line(name, "x")


@pytest.mark.parametrize("name", ["Host", "a b", "a}", "", "1x"])
def test_a_variable_has_a_plain_name(name):
    with pytest.raises(BadValue):
        Variable(name)


def test_a_file_looks_like_one_that_a_person_wrote():
    text = render(
        [
            block("map", Variable("uri"), Variable("x"), body=[Entry("default", ""), Entry(Pattern("~^/a$"), "b c")]),
            block("server", body=[line("listen", 80), block("location", "=", "/a", body=[line("return", 404)])]),
        ]
    )
    assert text == (
        "# Written by WebOps. Changes made here are lost.\n"
        'map $uri $x {\n    default "";\n    "~^/a$" "b c";\n}\n'
        "server {\n    listen 80;\n    location = /a {\n        return 404;\n    }\n}\n"
    )
