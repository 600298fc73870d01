"""The release work of projects whose pages need more than collectstatic."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.django_env import ready_environment

from webops_host.builds import LocalBuilds
from webops_host.embedded.databases import EmbeddedDatabases
from webops_host.layout import Layout
from webops_host.names import DeploymentName, DottedName, VariableKey
from webops_host.values import Console, DjangoWork, Runtime

NAME = DeploymentName("shop")
COMPRESS = """
from django.core.management.base import BaseCommand
class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("--force", action="store_true")
    def handle(self, **options):
        print("compressing", options["force"])
"""
SETTINGS = "INSTALLED_APPS = ['django.contrib.staticfiles', 'compressor']\nSTATIC_URL = '/s/'\n"


@pytest.mark.parametrize(("offline", "times"), [(True, 1), (False, 0)])
def test_pages_that_need_compressed_files_get_them(tmp_path: Path, offline, times):
    layout, lines = Layout(tmp_path / "sites"), list[str]()
    folder = layout.source(NAME, 1)
    (folder / "compressor/management/commands").mkdir(parents=True)
    for package in ("compressor", "compressor/management", "compressor/management/commands"):
        (folder / package / "__init__.py").touch()
    (folder / "compressor/management/commands/compress.py").write_text(COMPRESS)
    (folder / "conf.py").write_text(f"{SETTINGS}COMPRESS_OFFLINE = {offline}\n")
    given = {VariableKey("SECRET_KEY"): "k" * 50, VariableKey("DATABASE_URL"): EmbeddedDatabases(layout).ensure(NAME)}
    around = Runtime(NAME, 1, variables=given, environment=ready_environment(layout), settings=DottedName("conf"))
    LocalBuilds(layout).django(around, DjangoWork(migrate=False), Console(lines.append))
    assert lines.count("compressing True") == times


def test_the_debug_toolbar_does_not_stand_in_the_way_without_debug(tmp_path: Path):
    layout = Layout(tmp_path / "sites")
    folder = layout.source(NAME, 1)
    folder.mkdir(parents=True)
    (folder / "conf.py").write_text(
        "DEBUG = True\nDEBUG_TOOLBAR_CONFIG = {'SHOW_TOOLBAR_CALLBACK': lambda request: True, 'A': 1}\n"
    )
    lines: list[str] = []
    given = {VariableKey("SECRET_KEY"): "k" * 50, VariableKey("DATABASE_URL"): EmbeddedDatabases(layout).ensure(NAME)}
    around = Runtime(NAME, 1, variables=given, environment=ready_environment(layout), settings=DottedName("conf"))
    LocalBuilds(layout).django(around, DjangoWork(migrate=False), Console(lines.append))
    assert any("DEBUG_TOOLBAR_CONFIG" in line and "the toolbar is for DEBUG only" in line for line in lines)
