"""The variables of a release: what, from whom, and who wins."""

import pytest
from tests.support.trees import SETTINGS, planned, shop

from apps.deployments import environment
from apps.deployments.plan import Kind, Plan

PLACE = {"url": "https://blog.example.com", "hosts": ("blog.example.com", "www.example.com"), "https": True}


def composed(plan: Plan, user=None, database_url="postgres://u:p%40x@db:5433/name", **place):
    variables, origins = environment.compose(
        plan,
        user=user or {},
        generated={"SECRET_KEY": "s3cret", "JWT_SECRET_KEY": "jwt"},
        database_url=database_url,
        release=7,
        commit="a" * 40,
        **(PLACE | place),
    )
    assert {origin.key for origin in origins} == set(variables)
    return variables, {origin.key: origin.origin for origin in origins}


def test_a_django_project_gets_what_production_needs():
    variables, origins = composed(planned(shop()))

    assert variables["SECRET_KEY"] == variables["DJANGO_SECRET_KEY"] == "s3cret"
    assert variables["DEBUG"] == "False"
    assert variables["ALLOWED_HOSTS"] == "blog.example.com,www.example.com"
    assert variables["CSRF_TRUSTED_ORIGINS"] == "https://blog.example.com,https://www.example.com"
    assert variables["DATABASE_URL"].startswith("postgres://")
    assert variables["PYTHON_VERSION"] == str(planned(shop()).python.python)
    assert variables["WEBOPS_RELEASE"] == "7"
    assert variables["WEBOPS_HTTPS"] == "1"
    assert set(origins.values()) == {"platform"}


def test_the_port_of_a_local_address_belongs_to_its_origin():
    variables, _ = composed(planned(shop()), url="http://127.0.0.1:8123", hosts=("127.0.0.1",), https=False)
    assert variables["CSRF_TRUSTED_ORIGINS"] == "http://127.0.0.1:8123"


def test_variables_are_filled_in_the_form_the_code_reads():
    code = """import os
DEBUG = int(os.environ["DEBUG"])
HOSTS = os.environ["APP_ALLOWED_HOSTS"].split(" ")
NAME = os.environ["DB_NAME"]
USER = os.environ["POSTGRES_USER"]
PASSWORD = os.environ["DB_PASSWORD"]
PORT = int(os.environ["DB_PORT"])
ENGINE = os.environ["SQL_ENGINE"]
JWT = os.environ["JWT_SECRET_KEY"]
"""
    variables, _ = composed(planned(shop(SETTINGS + code)))
    expected = {
        "DEBUG": "0",
        "APP_ALLOWED_HOSTS": "blog.example.com www.example.com",
        "DB_NAME": "name",
        "POSTGRES_USER": "u",
        "DB_PASSWORD": "p@x",
        "DB_PORT": "5433",
        "SQL_ENGINE": "django.db.backends.postgresql",
        "JWT_SECRET_KEY": "jwt",
    }
    assert {key: variables[key] for key in expected} == expected


def test_a_sqlite_database_still_gives_every_part():
    code = (
        "import os\nNAME = os.environ['DB_NAME']\nPORT = int(os.environ['DB_PORT'])\nENGINE = os.environ['DB_ENGINE']\n"
    )
    variables, _ = composed(planned(shop(SETTINGS + code)), database_url="sqlite:////srv/blog/db.sqlite3")

    assert variables["DB_ENGINE"] == "django.db.backends.sqlite3"
    assert variables["DB_NAME"] == "/srv/blog/db.sqlite3"
    assert variables["DB_PORT"] == "5432"


@pytest.mark.parametrize(
    "engine",
    ["'django.db.backends.' + ENGINE", "f'django.db.backends.{ENGINE}'", "'django.db.backends.%s' % ENGINE"],
)
def test_an_engine_that_the_settings_complete_is_given_by_its_last_word(engine):
    code = f"import os\nENGINE = os.getenv('DB_ENGINE')\nDATABASES = {{'default': {{'ENGINE': {engine}}}}}\n"
    variables, _ = composed(planned(shop(SETTINGS + code)), database_url="postgres://u:p@db:5433/name")

    assert variables["DB_ENGINE"] == "postgresql"


@pytest.mark.parametrize("key", ["DEBUG", "SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "SITE_URL"])
def test_a_persons_value_wins(key):
    variables, origins = composed(planned(shop()), {key: "mine\n$x ü"})
    assert (variables[key], origins[key]) == ("mine\n$x ü", "panel")


@pytest.mark.parametrize("key", ["PORT", "WEBOPS_HOSTS", "WEBOPS_RELEASE"])
def test_what_only_the_platform_knows_can_not_be_overruled(key):
    variables, origins = composed(planned(shop()), {key: "mine"})
    assert variables.get(key) != "mine"
    assert origins.get(key, "platform") == "platform"


def test_the_contract_stands_between_platform_and_person():
    plan = planned(shop() | {"webops.toml": '[env]\nDEBUG = "True"\nSITE_URL = "x"\n'})
    variables, origins = composed(plan, {"SITE_URL": "y"})

    assert (variables["DEBUG"], origins["DEBUG"]) == ("True", "webops.toml")
    assert (variables["SITE_URL"], origins["SITE_URL"]) == ("y", "panel")


def test_a_static_site_gets_no_secrets():
    variables, _ = composed(Plan(Kind.STATIC))
    assert all(key.startswith("WEBOPS") for key in variables)


def test_a_socket_of_a_database_is_its_host_for_settings_that_read_the_parts():
    code = """import os
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["DB_NAME"],
    "USER": os.environ["DB_USER"], "PASSWORD": os.environ["DB_PASSWORD"], "HOST": os.environ["DB_HOST"],
    "PORT": os.environ["DB_PORT"]}}
"""
    url = "postgres://wo_shop__a:pw@/wo_shop?host=/run/postgresql"
    variables, _ = composed(planned(shop(settings=SETTINGS + code)), database_url=url)
    found = [variables[f"DB_{part}"] for part in ("NAME", "USER", "PASSWORD", "HOST", "PORT")]
    assert found == ["wo_shop", "wo_shop__a", "pw", "/run/postgresql", "5432"]
