"""Where dependencies come from, what is made of them, and which Python suits them."""

import json

import pytest
from packaging.version import Version
from tests.support.trees import SETTINGS, codes, names, planned, shop

from apps.deployments.detect import eras, projects
from webops_host.names import PythonVersion

UV_LOCK = """
requires-python = ">=3.12"
[[package]]
name = "shop"
source = { virtual = "." }
dependencies = [{ name = "django" }, { name = "pywin32", marker = "sys_platform == 'win32'" }]
[package.dev-dependencies]
dev = [{ name = "pytest" }]
[[package]]
name = "django"
version = "5.2.1"
source = { registry = "https://packages.example/simple" }
dependencies = [{ name = "sqlparse" }]
[[package]]
name = "sqlparse"
version = "0.5.0"
source = { registry = "https://packages.example/simple" }
[[package]]
name = "pytest"
version = "8.0"
source = { registry = "https://packages.example/simple" }
[[package]]
name = "pywin32"
version = "300"
source = { registry = "https://packages.example/simple" }
"""
POETRY_LOCK = """
[[package]]
name = "django"
version = "4.2.9"
[package.dependencies]
sqlparse = ">=0.3"
tzdata = {version = "*", markers = "sys_platform == \\"win32\\""}
[[package]]
name = "sqlparse"
version = "0.4.4"
[[package]]
name = "tzdata"
version = "2024.1"
[[package]]
name = "black"
version = "24.1"
"""
PIPFILE_LOCK = json.dumps(
    {"_meta": {"requires": {"python_version": "3.11"}}, "default": {"django": {"version": "==4.2.3"}}}
)


def declared(**files: str | bytes) -> dict[str, str | bytes]:
    """The shop without its requirements.txt, and with these files (`__` is a dot in a name)."""
    kept = {path: text for path, text in shop().items() if path != "requirements.txt"}
    return kept | {name.replace("__", "."): text for name, text in files.items()}


@pytest.mark.parametrize(
    ("files", "expected", "absent"),
    [
        (
            {"uv__lock": UV_LOCK, "pyproject__toml": '[project]\nname = "shop"\n'},
            {"django==5.2.1", "sqlparse==0.5.0"},
            {"pytest", "pywin32"},
        ),
        (
            {
                "poetry__lock": POETRY_LOCK,
                "pyproject__toml": '[tool.poetry.dependencies]\npython = "^3.10"\ndjango = "^4.2"\n',
            },
            {"django==4.2.9", "sqlparse==0.4.4"},
            {"black", "tzdata"},
        ),
        (
            {"pyproject__toml": '[tool.poetry.dependencies]\npython = "^3.10"\nDjango = "^4.2"\n'},
            {"django<5,>=4.2"},
            set(),
        ),
        ({"Pipfile__lock": PIPFILE_LOCK}, {"django==4.2.3"}, set()),
        ({"Pipfile": '[packages]\ndjango = "==4.2"\n[dev-packages]\npytest = "*"\n'}, {"django==4.2"}, {"pytest"}),
        ({"pyproject__toml": '[project]\nname="s"\ndependencies = ["Django>=4,<5"]\n'}, {"django<5,>=4"}, set()),
        (
            {"setup__py": "from setuptools import setup\nsetup(install_requires=['Django==4.2'])\n"},
            {"django==4.2"},
            set(),
        ),
        (
            {"setup__cfg": "[options]\ninstall_requires =\n    Django==4.2\n    requests\n"},
            {"django==4.2", "requests"},
            set(),
        ),
        (
            {"environment__yml": "dependencies:\n  - python=3.11\n  - django=4.2\n  - pip:\n    - stripe==5.0\n"},
            {"stripe==5.0", "django==4.2"},
            set(),
        ),
        ({"requirements/base__txt": "Django==4.2\n", "requirements/dev__txt": "pytest\n"}, {"django==4.2"}, {"pytest"}),
        (
            {"requirements/base__txt": "Django==4.2\n", "requirements/production__txt": "-r base.txt\nsentry-sdk\n"},
            {"django==4.2", "sentry-sdk"},
            set(),
        ),
        (
            {"requirements__txt": "Django==4.2\n-c limits.txt\nrequests\n", "limits__txt": "requests==2.31.0\n"},
            {"requests==2.31.0"},
            set(),
        ),
    ],
    ids=[
        "uv.lock",
        "poetry.lock",
        "poetry",
        "Pipfile.lock",
        "Pipfile",
        "pyproject",
        "setup.py",
        "setup.cfg",
        "conda",
        "base",
        "production",
        "constraints",
    ],
)
def test_dependencies_are_read_from(files, expected, absent):
    found = names(planned(declared(**files)))

    assert expected <= found
    assert not {line for line in found if line.split("=")[0].split("[")[0] in absent}


@pytest.mark.parametrize(
    ("line", "expected", "code"),
    [
        ("psycopg2==2.9.9", "psycopg2-binary==2.9.9", "psycopg2_binary"),
        ("psycopg==3.2.3", "psycopg[binary]==3.2.3", None),
        ("pywin32==300", None, "windows_only"),
        ("pkg-resources==0.0.0", None, "system_package"),
        ("uwsgi==2.0.20", None, "other_server"),
        ("pip==20.0", None, "installer"),
        ("enum34==1.1.10", None, "in_standard_library"),
        ("mysqlclient==2.1", None, "mysql_driver"),
        ("asgiref @ file:///tmp/build/asgiref", "asgiref", "local_file"),
        ("./wheels/thing-1.0-py3-none-any.whl", None, "local_file"),
        ("-i https://example.com/simple", None, "index_ignored"),
        ("requests==2.31.0 --hash=sha256:abc", "requests==2.31.0", None),
        ("requests==2.31.0 ; python_version < '3'", None, None),
        ("thing @ git+https://example.com/a/thing@main", "thing @ git+https://example.com/a/thing@main", "from_url"),
        ("-e git+https://example.com/a/b.git#egg=thing", "thing @ git+https://example.com/a/b.git", "from_url"),
        ("what is this", None, "requirement_unreadable"),
        ("requests=2.31.0", "requests==2.31.0", None),
    ],
)
def test_a_line_of_requirements_is_kept_changed_or_dropped_with_a_reason(line, expected, code):
    plan = planned(shop() | {"requirements.txt": f"Django==4.2.1\n{line}\n"})

    rest = names(plan) - {"django==4.2.1", "gunicorn", "setuptools<81"}
    assert rest == ({expected} if expected else set())
    assert code is None or code in codes(plan)
    assert code is None or next(p for p in plan.problems if p.code == code).where == "requirements.txt:2"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_requirements_in_another_encoding(encoding):
    content = "# é\nDjango==4.2.1\r\n".encode(encoding)
    assert "django==4.2.1" in names(planned(shop() | {"requirements.txt": content}))


def test_nothing_declared_is_inferred_from_the_imports_and_said():
    files = declared()
    files["blog/views.py"] = (
        "import requests\nfrom PIL import Image\nimport os\ntry:\n    import ujson\nexcept ImportError:\n    pass\n"
    )
    files["shop/settings.py"] = SETTINGS.replace('"blog"', '"blog", "rest_framework", "crispy_forms"')
    plan = planned(files)

    assert {
        "django<4.3,>=4.2",
        "requests",
        "pillow",
        "djangorestframework",
        "django-crispy-forms",
        "gunicorn",
    } <= names(plan)
    assert "nothing_declared" in codes(plan)


def test_an_unknown_import_is_named_and_never_guessed():
    plan = planned(declared() | {"blog/views.py": "import some_private_thing\n"})

    assert not any("private" in line for line in names(plan))
    problem = next(p for p in plan.problems if p.code == "imports_unknown")
    assert problem.where == "blog/views.py:1"


def test_what_the_settings_name_and_nothing_declares_is_added():
    settings = SETTINGS.replace('"blog"', '"blog", "corsheaders"').replace(
        "security.SecurityMiddleware", 'security.SecurityMiddleware", "whitenoise.middleware.WhiteNoiseMiddleware'
    )
    model = "from django.db import models\nclass A(models.Model):\n    a = models.ImageField()\n"
    plan = planned(shop(settings) | {"blog/models.py": model})

    assert {"django-cors-headers", "whitenoise", "pillow"} <= names(plan)


def test_postgresql_in_the_settings_or_on_the_host_brings_a_driver():
    assert "psycopg[binary]" in names(planned(shop(SETTINGS.replace("sqlite3", "postgresql"))))
    assert "psycopg[binary]" in names(planned(shop(), postgres=True))
    old = planned(shop() | {"requirements.txt": "Django==3.2\n"}, postgres=True)
    assert "psycopg2-binary" in names(old)


@pytest.mark.parametrize(
    ("django", "driver"),
    [
        ("Django==2.2.28", "psycopg2-binary<2.9"),
        ("Django>=3.0,<3.1", "psycopg2-binary<2.9"),
        ("Django<=3.1", "psycopg2-binary"),
        ("Django~=4.1.0", "psycopg2-binary"),
        ("Django<4.2", "psycopg2-binary"),
        ("Django<=4.2", "psycopg[binary]"),
        ("Django>=4.1", "psycopg[binary]"),
    ],
)
def test_the_driver_is_one_that_this_django_knows(django, driver):
    plan = planned(shop() | {"requirements.txt": f"{django}\n"}, postgres=True)
    assert driver in plan.python.requirements


def test_the_driver_suits_a_django_that_is_guessed():
    settings = f'"""Generated by \'django-admin startproject\' using Django 2.2.4."""\n{SETTINGS}'
    files = {path: content for path, content in shop(settings).items() if path != "requirements.txt"}
    plan = planned(files, postgres=True)
    assert {"Django<2.3,>=2.2", "psycopg2-binary<2.9"} <= set(plan.python.requirements)


def test_an_old_gunicorn_gets_the_setuptools_it_imports():
    plan = planned(shop() | {"requirements.txt": "Django==5.2\ngunicorn==20.0.4\n"})
    assert "setuptools<81" in names(plan)
    assert "setuptools<81" not in names(planned(shop() | {"requirements.txt": "Django==5.2\ngunicorn==23.0\n"}))


def test_old_code_with_an_unbound_django_gets_the_bound_it_was_written_for():
    files = shop() | {"requirements.txt": "django\n", "shop/urls.py": "from django.conf.urls import url\n"}
    assert "django<4.0" in names(planned(files))


PYTHON_CASES = [
    ({}, "Django==4.2.1", "3.12", None),
    ({}, "Django==2.2.28", "3.9", None),
    ({}, "Django==6.0", "3.13", None),
    ({".python-version": "3.10\n"}, "Django==4.2.1", "3.10", None),
    ({"runtime.txt": "python-3.11.4\n"}, "Django==4.2.1", "3.11", None),
    ({"runtime.txt": "python-3.6.4\n"}, "Django==3.2", "3.9", "python_nearest"),
    ({".python-version": "3.14\n"}, "Django==6.0", "3.13", "python_nearest"),
    ({"Dockerfile": "FROM python:3.10-slim\n"}, "Django==4.2.1", "3.10", None),
    ({".readthedocs.yaml": 'build:\n  tools:\n    python: "3.10"\n'}, "Django==4.2.1", "3.10", None),
    ({}, "Django==5.2\nsphinx==5.0.2", "3.12", None),
    ({}, "Django==4.2.1\nPillow==8.3.2", "3.9", None),
    ({}, "Django==1.11", "3.9", None),
    ({".python-version": "3.10\n"}, "Django==6.0", "3.12", "python_nearest"),
]


@pytest.mark.parametrize(("files", "requirements", "expected", "code"), PYTHON_CASES)
def test_the_python_that_suits_is_chosen(files, requirements, expected, code):
    plan = planned(shop() | files | {"requirements.txt": requirements})

    assert plan.python.python == expected
    assert code is None or code in codes(plan)


def test_a_python_that_is_not_here_is_planned_when_no_other_can_do():
    plan = planned(shop() | {"requirements.txt": "Django==6.0\n"}, pythons=(PythonVersion("3.11"),))

    assert plan.python.python.pair >= (3, 12)
    assert "python_absent" in codes(plan)
    firm = planned(declared(pyproject__toml='[project]\nname="s"\nrequires-python=">=3.14"\ndependencies=["Django"]\n'))
    assert firm.python.python == "3.14"


@pytest.mark.parametrize(
    ("files", "requirements", "expected"),
    [
        ({"runtime.txt": "python-3.7.4\n"}, "Django==1.11.29", "3.9"),
        ({"runtime.txt": "python-3.8.4\n"}, "Django==1.11.29", "3.8"),
        ({}, "Django==1.10.5", "3.7"),  # no newer one can do
    ],
)
def test_of_pythons_that_are_not_here_one_that_can_be_downloaded_is_planned(files, requirements, expected):
    plan = planned(shop() | files | {"requirements.txt": requirements}, pythons=(PythonVersion("3.11"),))

    assert (plan.python.python, "python_absent" in codes(plan)) == (expected, True)


def test_a_compiled_pin_without_a_file_for_the_only_python_moves_and_says_so():
    plan = planned(shop() | {"requirements.txt": "Django==4.2.1\nPillow==8.3.2\n"}, pythons=(PythonVersion("3.11"),))

    assert "pillow>=9.3,<10" in names(plan)
    assert "pin_moved" in codes(plan)


def test_the_environment_has_one_name_for_one_content():
    one, same = planned(shop()), planned(shop() | {"blog/new.py": "x = 1\n"})
    other = planned(shop() | {"requirements.txt": "Django==4.2.2\n"})

    assert one.python.digest == same.python.digest
    assert one.python.digest != other.python.digest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("^1.4", ">=1.4,<2"),
        ("^0.3.1", ">=0.3.1,<0.4"),
        ("~1.4.2", ">=1.4.2,<1.5"),
        ("*", ""),
        ("1.2.3", "==1.2.3"),
        (">=3.8,<4.0", ">=3.8,<4.0"),
        ("^3.8 || ^4", ">=3.8,<4"),
        ("nonsense", ""),
    ],
)
def test_poetry_constraints_are_translated(text, expected):
    assert projects.specifier(text) == expected


def test_the_tables_of_eras_are_in_order():
    for rows in [*eras.WHEELS.values(), *eras.CODE.values(), *eras.FLOOR.values(), eras.DJANGO_MADE_FOR]:
        versions = [Version(version) for version, _ in rows]
        pythons = [pair for _, pair in rows]
        assert versions == sorted(versions)
        assert pythons == sorted(pythons)
