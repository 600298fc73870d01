"""What can be set, typed or called is written down, and what is written down is there."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.shape.tree import FILES, PAGES, PRODUCT, ROOT, named, parsed

NAME = re.compile(r"(?:WEBOPS_[A-Z_]+|SECRET_KEY|ENCRYPTION_KEY|DATABASE_URL|PYTHON)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
TARGETS = ("setup", "run", "test", "check", "format", "bench", "lock")
INTERNAL = {"WEBOPS_LISTEN_FD", "WEBOPS_FAULT"}  # from one of our programs to another, never from a person


def page(name: str) -> str:
    return (ROOT / name).read_text()


def strings(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_every_setting_is_in_the_settings_page() -> None:
    readers = [
        path for path in PRODUCT if named(path).startswith(("control-panel/config/", "control-panel/apps/core/"))
    ]
    names = {text for path in readers for text in strings(path) if NAME.fullmatch(text)} - INTERNAL
    assert len(names) >= 15
    assert {name for name in names if f"`{name}`" not in page("docs/settings.md")} == set()


def test_every_setting_in_the_settings_page_is_read() -> None:
    told = set(re.findall(r"^\| `([A-Z_]+)`", page("docs/settings.md"), re.MULTILINE))
    sources = "\n".join(path.read_text() for path in FILES if path.suffix in (".py", ".sh"))
    assert {name for name in told if name not in sources} == set()


def test_every_path_of_the_api_is_in_its_page() -> None:
    from apps.api.urls import api

    paths = {re.sub(r"\{[^}]*\}", "{}", path) for path in api.get_openapi_schema()["paths"]}
    told = {
        re.sub(r"\{[^}]*\}", "{}", path) for path in re.findall(r"`(?:[A-Z]+ )?(/api/[^`\s]*)`", page("docs/api.md"))
    }
    assert paths - told == set()
    assert told - paths == {"/api/v1/openapi.json"}


def test_every_command_and_option_is_in_its_page() -> None:
    text = page("docs/cli.md")
    missing = [" ".join(words) for words, _ in commands() if f"`{' '.join(words)}" not in text]
    assert missing == []
    unknown = {
        (" ".join(words), option)
        for words, command in commands()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--") and option not in text
    }
    assert unknown == set()


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    main = pytest.importorskip("webops_cli.main").cli

    def below(words: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                yield from below((*words, name), child)
        elif not command.hidden:
            yield words, command

    return below(("webops",), main)


def test_every_key_of_the_contract_is_in_the_annotated_file() -> None:
    contract = pytest.importorskip("apps.deployments.contract")
    text = page("docs/webops.toml")
    tomllib.loads(text)
    found = set(keys(contract.schema()))
    assert len(found) >= 10
    assert {key for key in found if not re.search(rf"\b{re.escape(key)}\b", text)} == set()


def keys(schema: object) -> Iterator[str]:
    """The names of all properties in a JSON Schema."""
    if isinstance(schema, dict):
        properties = schema.get("properties", {})
        yield from properties
        for part in (*properties.values(), *(value for name, value in schema.items() if name != "properties")):
            yield from keys(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from keys(part)


def test_every_make_target_that_a_page_names_is_there() -> None:
    makefile = page("Makefile")
    told = {name for path in PAGES for name in re.findall(r"\bmake ([a-z]+)`?(?:$|[\s`.,;:])", code_in(path))}
    assert {name for name in told | set(TARGETS) if not re.search(rf"^{name}:", makefile, re.MULTILINE)} == set()


def code_in(path: Path) -> str:
    """What a page shows as code: a word after `make` in a sentence is no target."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", path.read_text(), re.DOTALL))


def test_the_readme_says_what_ci_runs() -> None:
    commands = re.findall(r"^time (.+)$", page(".ci/run"), re.MULTILINE)
    assert commands == ["make setup", "make test"]
    assert all(command in page("README.md") for command in commands)


def test_every_link_of_a_page_leads_somewhere() -> None:
    links = [(path, target) for path in PAGES for target in LINK.findall(path.read_text())]
    local = [(path, target.split("#")[0]) for path, target in links if "://" not in target]
    assert [(named(path), target) for path, target in local if not (path.parent / target).exists()] == []


def test_every_file_that_the_tour_names_is_there() -> None:
    text = page("docs/tour.md")
    names = set(re.findall(r"`((?:host|control-panel|cli|tests|docs)/[\w./-]+\.\w+)`", text))
    assert len(names) >= 10
    assert {name for name in names if not (ROOT / name).exists()} == set()
