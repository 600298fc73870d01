"""Values to JSON and back: what crosses is checked again by its own type."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webops_host import codec
from webops_host.errors import BadValue
from webops_host.names import DeploymentName, Digest, Domain, DottedName, ProcessKind, VariableKey
from webops_host.values import (
    Area,
    Gunicorn,
    Limits,
    Mount,
    ProjectLine,
    PythonBuilt,
    Runtime,
    Site,
    SiteAddress,
    Unit,
    UnitRef,
)

BLOG = DeploymentName("blog")
WEB = UnitRef(BLOG, 3, ProcessKind("web"))

VALUES = [
    WEB,
    Unit(WEB, Gunicorn(DottedName("shop.wsgi:application")), Runtime(BLOG, 3), serves=True),
    Unit(WEB, ProjectLine("a && b | c; $(d)"), Runtime(BLOG, 3, limits=Limits(64, 50, 10))),
    Site(BLOG, 3, WEB, (Mount("/static/", Area.STATIC),), (Domain("example.com"),)),
    Site(BLOG, 3),
    SiteAddress("http://127.0.0.1:8100", 3),
    PythonBuilt(Digest("0123456789abcdef"), reused=True, sealed=False),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_what_is_dumped_is_loaded_the_same(value):
    assert codec.load(type(value), json.loads(json.dumps(codec.dump(value)))) == value


@given(
    st.dictionaries(st.from_regex(r"A[A-Z_]{1,10}", fullmatch=True), st.text(st.characters(exclude_categories=["Cs"])))
)
def test_any_text_of_a_variable_survives(variables):
    runtime = Runtime(BLOG, 1, variables={VariableKey(key): value for key, value in variables.items()})
    assert codec.load(Runtime, json.loads(json.dumps(codec.dump(runtime)))) == runtime


@given(st.binary())
def test_any_bytes_survive(content):
    assert codec.load(bytes, codec.dump(content)) == content


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (UnitRef, {"name": "blog", "release": True, "kind": "web"}),
        (UnitRef, {"name": "blog", "release": 1.0, "kind": "web"}),
        (UnitRef, {"name": "blog", "release": "1", "kind": "web"}),
        (UnitRef, {"name": "blog", "kind": "web"}),
        (UnitRef, {"name": "blog", "release": 1, "kind": "web", "path": "/"}),
        (UnitRef, ["blog", 1, "web"]),
        (UnitRef, None),
        (Site, {"name": "blog", "release": 1, "mounts": [{"prefix": "/", "area": "etc"}]}),
        (Site, {"name": "blog", "release": 1, "mounts": [{"prefix": "/x/; root /", "area": "static"}]}),
        (Site, {"name": "blog", "release": 1, "domains": "example.com"}),
        (Site, {"name": "blog", "release": 1, "fallback": 1}),
        (float, True),
        (bool, 1),
        (int, False),
        (str, b"x"),
    ],
)
def test_another_type_is_refused(kind, data):
    with pytest.raises(BadValue):
        codec.load(kind, data)


@pytest.mark.parametrize(
    "limits",
    [
        {"memory_mib": "1G\nUser=root"},
        {"memory_mib": True},
        {"memory_mib": 1e9},
        {"memory_mib": -1},
        {"memory_mib": 512.5},
        {"memory_mib": 10**12},
        {"cpu_percent": 0},
        {"tasks": None},
        {"MemoryMax": 512},
    ],
    ids=repr,
)
def test_inj_09_limits_are_whole_numbers_in_their_range(limits):
    with pytest.raises(BadValue):
        codec.load(Limits, limits)
