"""Django projects of many habits: what is found, with which reasons, and what is refused."""

import pytest
from tests.support.trees import SETTINGS, codes, manage, names, planned, shop, web, wsgi

from apps.deployments import detect
from apps.deployments.plan import Kind, Role
from webops_host.names import DottedName, PythonVersion
from webops_host.values import Gunicorn, ProjectLine


def test_a_plain_project_needs_no_files_of_ours():
    plan = planned(shop())

    assert plan.kind is Kind.DJANGO
    assert plan.django.settings == "shop.settings"
    assert web(plan) == Gunicorn(DottedName("shop.wsgi:application"))
    assert {"django==4.2.1", "gunicorn"} <= names(plan)
    assert plan.blockers == ()
    assert plan.summary == "Django 4.2.1 on Python 3.12"


def test_the_project_may_lie_in_a_folder_and_its_packages_above_it():
    files = {f"src/{path}": text for path, text in shop().items() if path != "requirements.txt"}
    plan = planned(files | {"requirements.txt": "Django==4.2.1\n"})

    assert plan.root == "src"
    assert "django==4.2.1" in names(plan)


def test_of_several_projects_the_shallow_one_is_taken_and_the_others_are_named():
    plan = planned(shop() | {"examples/demo/manage.py": manage("demo.settings")})

    assert plan.root == ""
    assert "examples/demo/manage.py" in plan.findings[0].reason


def test_a_committed_environment_is_not_the_project():
    plan = planned(shop() | {"env/pyvenv.cfg": "", "env/lib/x/manage.py": manage("other.settings")})

    assert "env/" not in plan.findings[0].reason


@pytest.mark.parametrize(
    ("base", "production", "expected"),
    [
        (SETTINGS, "from .base import *\nDEBUG = False\n", "shop.settings.production"),
        (SETTINGS, "from .base import *\nimport os\nKEY = os.environ['AWS_KEY']\n", "shop.settings.dev"),
        (SETTINGS, "from .base import *\nfrom .secrets_here import *\n", "shop.settings.dev"),
    ],
    ids=["production starts", "production needs a variable", "production imports what is not there"],
)
def test_production_settings_are_taken_when_they_can_start(base, production, expected):
    files = {path: text for path, text in shop().items() if path != "shop/settings.py"}
    files |= {
        "manage.py": manage("shop.settings.dev"),
        "shop/wsgi.py": wsgi("shop.settings.production"),
        "shop/settings/__init__.py": "",
        "shop/settings/base.py": base,
        "shop/settings/dev.py": "from .base import *\n",
        "shop/settings/production.py": production,
    }
    plan = planned(files)

    assert plan.django.settings == expected
    assert plan.blockers == ()


def test_a_variable_that_the_person_has_given_makes_production_settings_good():
    files = shop() | {
        "shop/wsgi.py": wsgi("shop.production"),
        "shop/production.py": "from .settings import *\nimport os\nKEY = os.environ['AWS_KEY']\n",
    }
    assert planned(files).django.settings == "shop.settings"
    given = detect.Overrides(variables={"AWS_KEY": "k"})
    assert planned(files, overrides=given).django.settings == "shop.production"


def test_settings_that_are_not_in_the_repository_are_refused_with_the_line():
    plan = planned(shop("from .local_settings import *\n"))

    (problem,) = plan.blockers
    assert problem.where == "shop/settings.py:1"
    assert "local_settings.py" in problem.fix


def test_a_procfile_names_the_settings():
    files = shop() | {
        "shop/live.py": "from .settings import *\n",
        "Procfile": "web: DJANGO_SETTINGS_MODULE=shop.live gunicorn shop.wsgi\n",
    }
    assert planned(files).django.settings == "shop.live"


def test_a_missing_wsgi_module_is_refused_with_what_to_write():
    files = {path: text for path, text in shop().items() if path != "shop/wsgi.py"}
    (problem,) = planned(files).blockers

    assert problem.code == "wsgi_missing"
    assert "get_wsgi_application" in problem.fix


def test_asgi_only_where_it_is_asked_for():
    asgi = "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n"
    plain = planned(shop() | {"shop/asgi.py": asgi})
    channels = SETTINGS.replace('"blog"', '"blog", "channels"') + 'ASGI_APPLICATION = "shop.asgi.application"\n'
    asked = planned(shop(channels) | {"shop/asgi.py": asgi})

    assert web(plain).asgi is False
    assert web(asked) == Gunicorn(DottedName("shop.asgi:application"), asgi=True)
    assert {"uvicorn", "uvicorn-worker"} <= names(asked)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gunicorn shop.wsgi --log-file -", Gunicorn(DottedName("shop.wsgi:application"))),
        (
            "gunicorn -w 3 --threads 8 -b 0.0.0.0:$PORT shop.wsgi",
            Gunicorn(DottedName("shop.wsgi:application"), False, 3, 8),
        ),
        ("python manage.py runserver 0.0.0.0:$PORT", Gunicorn(DottedName("shop.wsgi:application"))),
        ("python manage.py migrate && gunicorn shop.wsgi", Gunicorn(DottedName("shop.wsgi:application"))),
        ("waitress-serve --port=$PORT shop.wsgi:application", Gunicorn(DottedName("shop.wsgi:application"))),
        ("uwsgi uwsgi.ini", Gunicorn(DottedName("shop.wsgi:application"))),
        ("newrelic-admin run-program uwsgi --ini etc/uwsgi.ini", Gunicorn(DottedName("shop.wsgi:application"))),
        ("cd etc && exec /venv/bin/uwsgi site.ini", Gunicorn(DottedName("shop.wsgi:application"))),
        ("python manage.py runmodwsgi --port $PORT", Gunicorn(DottedName("shop.wsgi:application"))),
        ("newrelic-admin run-program gunicorn shop.wsgi", ProjectLine("newrelic-admin run-program gunicorn shop.wsgi")),
        ("gunicorn otherproject.wsgi", Gunicorn(DottedName("shop.wsgi:application"))),
        ("gunicorn -k gevent shop.wsgi", ProjectLine("gunicorn -k gevent shop.wsgi")),
        ("gunicorn -c conf.py shop.wsgi", ProjectLine("gunicorn -c conf.py shop.wsgi")),
        (
            "gunicorn --timeout 90 -b :8000 shop.wsgi",
            ProjectLine("gunicorn --timeout 90 --bind 127.0.0.1:$PORT shop.wsgi"),
        ),
        ("bash start.sh", ProjectLine("bash start.sh")),
    ],
)
def test_a_web_line_is_served_by_the_platform_where_it_can_be(line, expected):
    assert web(planned(shop() | {"Procfile": f"web: {line}\n"})) == expected


@pytest.mark.parametrize(
    "line",
    [
        "gunicorn shop.wsgi; rm -rf /",
        "gunicorn shop.wsgi && curl http://evil",
        "gunicorn $(cat /etc/passwd) shop.wsgi",
        "gunicorn shop.wsgi | tee /tmp/x",
        "gunicorn `id` shop.wsgi",
        "gunicorn shop.wsgi > /etc/cron.d/x",
    ],
)
def test_inj_07_hostile_procfile_lines_stay_lines_of_the_project(line):
    plan = planned(shop() | {"Procfile": f"web: {line}\nrelease: {line}\nworker: {line}\n"})

    programs = [process.program for process in plan.processes]
    assert all(program == ProjectLine(line) for program in programs)
    assert plan.release == ProjectLine(line)


def test_inj_07_hostile_app_json_is_only_read():
    app = '{"env": {"A;rm": "x", "LD_PRELOAD": "x", "GOOD": {"value": "$(id)"}}, "scripts": {"postdeploy": "rm -rf /"}}'
    plan = planned(shop() | {"app.json": app})

    assert [(w.key, w.default) for w in plan.wanted] == [("GOOD", "$(id)")]
    assert plan.release is None


def test_a_release_line_keeps_what_the_platform_does_not_do():
    plan = planned(shop() | {"Procfile": "release: python manage.py migrate && python manage.py seed\n"})

    assert plan.release == ProjectLine("python manage.py seed")
    assert planned(shop() | {"Procfile": "release: python manage.py migrate\n"}).release is None


def test_a_procfile_above_the_project_keeps_its_folder():
    files = {f"backend/{path}": text for path, text in shop().items()}
    plan = planned(files | {"Procfile": "worker: python backend/bot.py\n"})

    assert plan.processes[1].program == ProjectLine("cd .. && python backend/bot.py")


def test_a_worker_without_a_broker_is_planned_and_not_started():
    files = shop() | {"Procfile": "web: gunicorn shop.wsgi\nworker: celery -A shop worker\n"}
    worker = planned(files).processes[1]
    assert (worker.kind, worker.count) == ("worker", 0)
    assert "no_broker" in codes(planned(files))
    given = detect.Overrides(variables={"REDIS_URL": "redis://r"})
    assert planned(files, overrides=given).processes[1].count == 1


def test_a_celery_app_is_proposed_without_a_procfile():
    plan = planned(shop() | {"shop/celery.py": "from celery import Celery\napp = Celery('shop')\n"})
    assert plan.processes[1].program == ProjectLine("celery -A shop worker --loglevel INFO")


VARIABLES = (
    SETTINGS
    + """import os
SECRET = os.environ["SECRET_KEY"]
DEBUG = int(os.environ.get("DEBUG", default=0))
HOSTS = os.environ.get("DJANGO_ALLOWED_HOSTS").split(" ")
NAME = os.environ["POSTGRES_DB"]
STRIPE = os.environ["STRIPE_SECRET_KEY"]
if os.environ.get("USE_S3"):
    BUCKET = os.environ["S3_BUCKET"]
MAIL = os.environ.get("EMAIL_HOST", "localhost")
JWT = os.environ["JWT_SECRET_KEY"]
"""
)


def test_variables_are_filled_asked_for_or_left_alone():
    plan = planned(shop(VARIABLES))
    fills = {fill.key: fill.role for fill in plan.fills}
    wanted = {w.key: w for w in plan.wanted}

    assert fills["SECRET_KEY"] is Role.SECRET
    assert fills["DEBUG"] is Role.ZERO
    assert fills["DJANGO_ALLOWED_HOSTS"] is Role.HOSTS_SPACED
    assert fills["POSTGRES_DB"] is Role.DATABASE_NAME
    assert fills["JWT_SECRET_KEY"] is Role.SECRET
    assert wanted["STRIPE_SECRET_KEY"].required
    assert wanted["STRIPE_SECRET_KEY"].secret
    assert wanted["STRIPE_SECRET_KEY"].where == "shop/settings.py:13"
    assert not wanted["S3_BUCKET"].required
    assert wanted["EMAIL_HOST"].default == "localhost"


@pytest.mark.parametrize(
    ("code", "required"),
    [
        ("from decouple import config\nA = config('A')", True),
        ("from decouple import config\nA = config('A', default='')", False),
        ("import environ\nenv = environ.Env()\nA = env('A')", True),
        ("import environ\nenv = environ.Env(A=(str, 'x'))\nA = env('A')", False),
        ("import environ\nenv = environ.Env()\nA = env.str('A', default='x')", False),
        ("import os\nA = os.getenv('A')", False),
        ("import os\nA = int(os.getenv('A'))", True),
        ("import os\ntry:\n    A = os.environ['A']\nexcept KeyError:\n    A = ''", False),
        ("import os\nDEBUG = False\nif not DEBUG:\n    A = os.environ['A']", True),
        ("import os\nif 'A' in os.environ:\n    A = os.environ['A']", False),
        ("import os\nos.environ['A'] = 'x'", None),
        ("import os\ndef need(k):\n    return os.environ[k]\nA = need('A')", True),
        ("import os\ndef may(k):\n    return os.getenv(k)\nA = may('A')", False),
        ("import os\ndef may(k):\n    if len(k) > 9: raise ValueError\n    return os.getenv(k)\nA = may('A')", False),
    ],
)
def test_what_makes_a_variable_required(code, required):
    found = {w.key: w.required for w in planned(shop(SETTINGS + code + "\n")).wanted}
    assert found.get("A") is required


def test_an_example_file_names_variables_with_suggestions():
    plan = planned(shop() | {".env.example": "MAIL_FROM=me@example.com\nMAIL_TOKEN=abc\nDEBUG=1\n"})
    assert [(w.key, w.default, w.secret) for w in plan.wanted] == [
        ("MAIL_FROM", "me@example.com", False),
        ("MAIL_TOKEN", "", True),
    ]


def test_app_json_makes_secrets_and_asks_for_the_rest():
    env = '{"HASH_SALT": {"generator": "secret"}, "MAIL_FROM": {"description": "Sender"}}'
    app = f'{{"env": {env}, "formation": {{"web": {{"quantity": 2}}}}}}'
    plan = planned(shop() | {"app.json": app, "Procfile": "web: gunicorn shop.wsgi\n"})
    wanted = {w.key: w for w in plan.wanted}

    assert wanted["HASH_SALT"].generate
    assert wanted["MAIL_FROM"].required
    assert wanted["MAIL_FROM"].reason == "Sender"
    assert plan.processes[0].count == 2


def test_a_field_that_only_postgresql_has_needs_it():
    model = "from django.contrib.postgres.fields import ArrayField\nclass A:\n    tags = ArrayField()\n"
    assert planned(shop() | {"blog/models.py": model}).django.needs_postgres
    assert not planned(shop(SETTINGS.replace("sqlite3", "postgresql"))).django.needs_postgres


def test_geographic_models_are_refused():
    (problem,) = planned(shop() | {"blog/models.py": "from django.contrib.gis.db import models\n"}).blockers
    assert (problem.code, problem.where) == ("needs_gis", "blog/models.py")


def test_a_front_end_beside_the_project_is_built_and_another_one_is_only_named():
    package = '{"scripts": {"build": "webpack"}}'
    assert planned(shop() | {"package.json": package}).node.script == "build"
    apart = planned(shop() | {"frontend/package.json": package})
    assert apart.node is None
    assert "front_end_apart" in codes(apart)
    used = SETTINGS + "TEMPLATES = [{'DIRS': ['frontend/build']}]\n"
    assert planned(shop(used) | {"frontend/package.json": package}).node.root == "frontend"


def test_the_digests_change_with_what_they_are_about_and_with_nothing_else():
    one = planned(shop() | {"blog/migrations/0001_initial.py": "a", "static/a.css": "a"})
    code = planned(shop() | {"blog/migrations/0001_initial.py": "a", "static/a.css": "a", "blog/views.py": "x = 1\n"})
    migrated = planned(shop() | {"blog/migrations/0001_initial.py": "b", "static/a.css": "a"})
    styled = planned(shop() | {"blog/migrations/0001_initial.py": "a", "static/a.css": "b"})

    assert (code.django.migrations, code.django.statics, code.python.digest) == (
        one.django.migrations,
        one.django.statics,
        one.python.digest,
    )
    assert migrated.django.migrations != one.django.migrations
    assert styled.django.statics != one.django.statics


def test_the_panel_comes_before_the_contract_and_that_before_detection():
    files = shop() | {"webops.toml": '[app]\npython = "3.10"\n[resources]\nmemory = "256M"\n'}
    contract = planned(files)
    panel = planned(files, overrides=detect.Overrides(python=PythonVersion("3.11")))

    assert (contract.python.python, panel.python.python) == ("3.10", "3.11")
    finding = next(f for f in contract.findings if f.subject == "Python")
    assert (finding.origin, finding.where) == ("webops.toml", "webops.toml:2")
    assert contract.limits.memory_mib == 256


def test_a_contract_that_can_not_be_followed_stops_the_release_with_its_line():
    (problem,) = planned(shop() | {"webops.toml": "[deploy]\nhelth = 1\n"}).blockers
    assert problem.where == "webops.toml:2"
    assert "health" in problem.message


@pytest.mark.parametrize(
    "text", ["", "\x00", "def (", "print 'x'", "(" * 3000, "\ufeff", "import", "x = " + "-" * 5000 + "1"], ids=range(8)
)
def test_strange_files_give_a_plan_and_no_exception(text):
    names = ("manage.py", "shop/settings.py", "requirements.txt", "pyproject.toml", "uv.lock", "poetry.lock", "Pipfile")
    names += (
        "Pipfile.lock",
        "package.json",
        "app.json",
        "Procfile",
        "setup.py",
        "setup.cfg",
        "environment.yml",
        "mkdocs.yml",
    )
    for name in names:
        assert planned(shop() | {name: text}) is not None
    assert planned({name: text for name in names}) is not None


STRANGE = [
    "[]",
    "3",
    '"x"',
    "null",
    '{"scripts": 3, "env": [], "formation": 1}',
    '{"scripts": {"build": 3}, "dependencies": []}',
    '{"env": {"A": {"value": []}, "B": null}, "formation": {"web": []}}',
    '{"default": [], "_meta": 3}',
    '{"default": {"django": 3}}',
]
STRANGE_TOML = [
    "package = 3",
    "package = [1]",
    "[[package]]\nname = 3",
    "[[package]]\nname='a'\nsource=3\ndependencies=3",
    "project = 3",
    "[project]\ndependencies = 3\nrequires-python = 3\ndynamic = 3",
    "[tool]\npoetry = 3",
    "tool = []",
    "[packages]\na = 3\nb = []",
    "[tool.poetry.dependencies]\npython = 3\na = [3]",
    "[tool]\nwebops = 3",
    "[[package]]\nname='shop'\nsource={virtual='.'}\ndependencies=[{name=3}]",
]


@pytest.mark.parametrize("text", STRANGE)
@pytest.mark.parametrize("name", ["package.json", "app.json", "Pipfile.lock"])
def test_json_of_another_build_gives_a_plan(name, text):
    assert planned(shop() | {name: text}) is not None
    assert planned({name: text}) is not None


@pytest.mark.parametrize("text", STRANGE_TOML)
@pytest.mark.parametrize("name", ["pyproject.toml", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile"])
def test_toml_of_another_build_gives_a_plan(name, text):
    assert planned(shop() | {name: text}) is not None
    assert planned(shop() | {"pyproject.toml": "[project]\nname='shop'\n"} | {name: text}) is not None


@pytest.mark.parametrize("folder", ["", "{{cookiecutter.slug}}/"])
def test_a_template_to_make_projects_from_is_not_taken_for_one(folder):
    text = 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{{ project_name }}.settings")\n'
    plan = planned({f"{folder}manage.py": f"import os\n{text}", "Procfile": "web: gunicorn {{ project_name }}.wsgi\n"})
    assert [(problem.code, problem.where) for problem in plan.blockers] == [
        ("project_template", f"{folder}manage.py:2")
    ]
