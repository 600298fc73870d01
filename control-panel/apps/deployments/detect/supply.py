"""What a declaration forgot, or what an old pin takes for granted, added so that the project runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from packaging.version import Version

from apps.deployments.detect import distributions
from apps.deployments.detect.declared import Line, line
from apps.deployments.detect.notes import Notes

SETUPTOOLS = "setuptools<81"  # the last that has pkg_resources; environments made by uv have none
_NEEDS_PKG_RESOURCES: dict[str, str] = {  # below this version
    "gunicorn": "21", "djangorestframework-simplejwt": "5.3", "drf-yasg": "1.22", "razorpay": "2",
    "apscheduler": "3.11", "django-rest-swagger": "99", "djoser": "2", "celery": "4.3", "zope-interface": "5",
    "django-jet": "99", "pyrebase4": "99", "pyrebase": "99", "google-cloud-storage": "1.40",
    "google-api-core": "1.31", "fs": "99", "pyfcm": "99", "django-pipeline": "2.0", "sphinx": "4",
    "pytest-runner": "99", "opencensus": "99", "django-heroku": "99", "mezzanine": "99",
    "django-push-notifications": "3", "cssmin": "99", "django-money": "3", "django-oscar": "3.2",
    "python-oauth2": "99",
}  # fmt: skip
_OLD_DJANGO = Version("5.0")
_MESSAGE = "nothing declares it"


class Supply:
    """Collects lines by name; what is there stays as it is."""

    def __init__(self, given: Iterable[Line], known: Mapping[str, Line], notes: Notes) -> None:
        self.lines: dict[str, Line] = {entry.name: entry for entry in given}
        self.known = known  # lines of other requirement files, for their versions
        self.notes = notes

    def has(self, *names: str) -> bool:
        return any(name in self.lines for name in names)

    def pinned(self, name: str) -> Version | None:
        return self.lines[name].pinned if name in self.lines else None

    def add(self, requirement: str, reason: str, where: str = "") -> None:
        """Have the package; a line of another file of the repository is preferred to ours, for its version."""
        name = distributions.name_of(requirement)
        if name in self.lines:
            return
        entry = self.known.get(name) or line(requirement, where)
        if entry is not None:
            self.lines[name] = entry
            self.notes.found("Added package", entry.text, reason, where=where)

    def modules(self, imported: Mapping[str, str], reason: str) -> list[tuple[str, str]]:
        """Add what provides these modules; returns those (with file:line) that no well-known package provides."""
        unknown = []
        for module, where in imported.items():
            if distributions.provided(module, frozenset(self.lines)):
                continue
            requirement = distributions.of(module)
            if requirement is not None:
                self.add(requirement, f"{reason} {module} and {_MESSAGE}", where)
            else:
                unknown.append((module, where))
        return unknown


def server(supply: Supply, *, asgi: bool) -> None:
    supply.add("gunicorn", "the platform serves with it")
    if asgi:
        supply.add("uvicorn", "the project asks for ASGI")
        supply.add("uvicorn-worker", "the project asks for ASGI")


def database(supply: Supply, *, wanted: bool, where: str) -> None:
    """A PostgreSQL driver: psycopg 3 from Django 4.2 on, psycopg2 before. Django before 3.1 takes psycopg2 2.9 to have
    lost the time zone: https://code.djangoproject.com/ticket/32856"""
    if not wanted or supply.has("psycopg", "psycopg2", "psycopg2-binary"):
        return
    django = supply.lines.get("django")
    if django is None or not django.is_below("4.2"):
        driver = "psycopg[binary]"
    elif django.is_below("3.1"):
        driver = "psycopg2-binary<2.9"
    else:
        driver = "psycopg2-binary"
    supply.add(driver, "the database is PostgreSQL", where)


def setuptools(supply: Supply, source: str) -> None:
    """pkg_resources and distutils, for pins of the time when every environment had setuptools."""
    culprit = next((entry for entry in supply.lines.values() if _needs_it(entry)), None)
    django = supply.pinned("django")
    if culprit is not None:
        supply.add(SETUPTOOLS, f"{culprit.text} imports pkg_resources when it runs", culprit.where)
    elif django is not None and django < _OLD_DJANGO:
        supply.add(
            SETUPTOOLS, f"packages of the time of Django {django} take it for granted", supply.lines["django"].where
        )
    elif re.search(r"^\s*(import|from) (pkg_resources|distutils)\b", source, re.MULTILINE):
        supply.add(SETUPTOOLS, "the code imports pkg_resources or distutils")


def _needs_it(entry: Line) -> bool:
    limit = _NEEDS_PKG_RESOURCES.get(entry.name)
    return limit is not None and entry.pinned is not None and entry.pinned < Version(limit)
