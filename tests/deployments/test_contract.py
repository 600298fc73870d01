"""webops.toml: every mistake is named with its line and an example; limits hold."""

import json
from pathlib import Path

import pytest
from tests.support.trees import planned, shop

from apps.deployments import contract, detect
from apps.deployments.contract import ContractInvalid, PlatformLimits
from webops_host.values import ProjectLine

DOCS = Path(__file__).parents[2] / "docs"


def refused(text: str, path: str = "webops.toml") -> list[tuple[str, str, str]]:
    with pytest.raises(ContractInvalid) as caught:
        contract.parse(text, path)
    return [(error.where, error.message, error.fix) for error in caught.value.errors]


def test_the_annotated_reference_is_a_contract_and_shows_every_key():
    text = (DOCS / "webops.toml").read_text()
    contract.parse(text)
    schema = contract.schema()
    keys = set(schema["properties"]) | {key for table in schema["$defs"].values() for key in table["properties"]}
    assert [key for key in keys if key not in text] == []


def test_the_published_schema_is_fresh():
    assert json.loads((DOCS / "webops.schema.json").read_text()) == contract.schema()


@pytest.mark.parametrize(
    ("text", "where", "message", "fix"),
    [
        ("[deploy]\nhelth = {}\n", "webops.toml:2", "Did you mean “health”?", "/healthz"),
        ("[proceses]\nweb = 'x'\n", "webops.toml:1", "Did you mean “processes”?", "gunicorn"),
        ("[app]\n\ntype = 'dj'\n", "webops.toml:3", "'django'", "type ="),
        ("[processes]\nworker = { command = 'a', cuont = 1 }\n", "webops.toml:2", "Did you mean “count”?", "count = 1"),
        ("[app]\npython = 3.12\n", "webops.toml:2", "text in quotes", 'python = "3.12"'),
        ("[app]\nroot = '../x'\n", "webops.toml:2", "inside the repository", "backend"),
        ("[deploy]\nhealth = { timeout = 30 }\n", "webops.toml:2", "“30s”", "30s"),
        ("[deploy]\nhealth = { path = 'x' }\n", "webops.toml:2", "begins with a slash", "healthz"),
        ("[[cron]]\nschedule = '0 3 * *'\ncommand = 'x'\n", "webops.toml:2", "five fields", "0 3 * * *"),
        ("[[cron]]\nschedule = '0 3 * * *'\n", "webops.toml:1", "missing", "clearsessions"),
        ("[env]\nWEBOPS_X = 'a'\n", "webops.toml:2", "set by the platform", "another name"),
        ("[env]\nLD_PRELOAD = 'a'\n", "webops.toml:2", "LD_PRELOAD", "another name"),
        ("[env]\nA = 1\n", "webops.toml:2", "text in quotes", ""),
        ("[processes]\nWEB = 'x'\n", "webops.toml:2", "lower-case", ""),
        ('[processes]\nweb = "a\\nb"\n', "webops.toml:2", "one line", ""),
        ("[[services]]\ntype = 'mysql'\n", "webops.toml:2", "postgres", "postgres"),
        ("x", "webops.toml", "not TOML", "quotes"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_an_example(text, where, message, fix):
    ((found_where, found_message, found_fix),) = refused(text)

    assert found_where == where
    assert message in found_message
    assert fix in found_fix


def test_every_mistake_is_named_at_once():
    assert [where for where, _, _ in refused("[app]\ntype = 1\nroot = 2\n[deploy]\nx = 1\n")] == [
        "webops.toml:2",
        "webops.toml:3",
        "webops.toml:5",
    ]


@pytest.mark.parametrize(
    "value",
    [
        '"1G\\nUser=root"',
        "true",
        "1e9",
        "-5",
        "1.5",
        "1000000000000",
        '"-5M"',
        '"1.5G"',
        '"1e9"',
        '"0M"',
        '"99999999G"',
        '"9999G"',
        '""',
        '"512"',
        '" 512M"',
    ],
)
def test_inj_09_a_memory_that_is_no_size_is_refused(value):
    assert refused(f"[resources]\nmemory = {value}\n")


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("[resources]\nmemory = '8G'\n", "4096M"),
        ("[resources]\ncpu = '900%'\n", "400%"),
        ("[resources]\ntasks = 100000\n", "512"),
        ("[processes]\nw = { command = 'x', count = 99 }\n", "8 copies"),
        ("[processes]\nw = { command = 'x', memory = '8G' }\n", "4096M"),
        ("[deploy]\nhealth = { timeout = '60m' }\n", "600s"),
    ],
)
def test_inj_09_limits_above_the_platforms_are_refused(text, most):
    ((_, message, _),) = refused(text)
    assert most in message


def test_the_table_in_pyproject_is_the_same_contract():
    text = "[project]\nname = 'x'\n[tool.webops.app]\npython = '3.11'\n"
    assert contract.parse(text, "pyproject.toml").app.python == "3.11"
    ((where, _, _),) = refused("[project]\nname = 'x'\n[tool.webops.app]\npyhton = '3.11'\n", "pyproject.toml")
    assert where == "pyproject.toml:4"


def test_the_contract_shapes_the_plan():
    text = """[processes]
web = "gunicorn -c conf.py shop.wsgi"
clock = { command = "python clock.py", count = 2, memory = "128M" }
[deploy]
release = "python manage.py seed"
health = { path = "/up", timeout = "2m" }
[[cron]]
schedule = "@daily"
command = "python manage.py clearsessions"
[env]
LANGUAGE = "en"
[env.required]
STRIPE_KEY = "Payment"
[django]
overlay = false
migrate = false
"""
    plan = planned(shop() | {"webops.toml": text, "Procfile": "web: gunicorn shop.wsgi\nworker: python w.py\n"})
    kinds = {process.kind: process for process in plan.processes}

    assert kinds["web"].program == ProjectLine("gunicorn -c conf.py shop.wsgi")
    assert (kinds["clock"].count, kinds["clock"].limits.memory_mib) == (2, 128)
    assert kinds["worker"].program == ProjectLine("python w.py")
    assert plan.release == ProjectLine("python manage.py seed")
    assert (plan.health.path, plan.health.timeout) == ("/up", 120.0)
    assert plan.cron[0].command == ProjectLine("python manage.py clearsessions")
    assert plan.variables == {"LANGUAGE": "en"}
    assert [(w.key, w.required, w.secret) for w in plan.wanted] == [("STRIPE_KEY", True, True)]
    assert (plan.django.overlay, plan.django.migrate, plan.django.collectstatic) == (False, False, True)


def test_the_platforms_limits_hold_for_the_panel_too():
    from webops_host.values import Limits

    asked = detect.Overrides(limits=Limits(9000, 800, 1000))
    plan = planned(shop(), overrides=asked, limits=PlatformLimits(memory_mib=1024))
    assert plan.limits.memory_mib == plan.processes[0].limits.memory_mib == 1024
