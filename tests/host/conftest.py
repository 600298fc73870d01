"""Machines for the tests of the host. Each test has its own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.support import file_names
from tests.support.machine import BLOG, PAGES, Embedded, Fake, embedded, publish
from tests.support.nginx import Nginx
from tests.support.nginx_sites import standing as standing_nginx

from webops_host.values import Site


@pytest.fixture
def real(tmp_path) -> Iterator[Embedded]:
    """The embedded host behind its socket, with a place for the blog and for releases 1 and 2."""
    with embedded(tmp_path / "root") as machine:
        machine.host.accounts.ensure(BLOG)
        for release in (1, 2):
            machine.lay(BLOG, release, {})
        yield machine


@pytest.fixture(params=["fake", "embedded"])
def machine(request) -> Fake | Embedded:
    """Every host in turn: what is promised of one is promised of all."""
    return Fake() if request.param == "fake" else request.getfixturevalue("real")


FILES = {
    "index.html": "<h1>home</h1>",
    "404.html": "<h1>lost</h1>",
    "about.html": "about",
    "notes/index.html": "notes",
    "empty/x.txt": "x",
    "letters.txt": "abcdefghij",
    "app.1234abcd.js": "1",
    "app-B3f_9aZk.css": "a{}",
    "report-20240101.pdf": "pdf",
    **dict.fromkeys((*file_names.BUILT, *file_names.CHOSEN), "x"),
    "ünï cöde.txt": "unicode",
    ".well-known/security.txt": "contact",
    ".env": "SECRET=1",
    ".git/config": "[core]",
    "notes/.hidden": "hidden",
    "nothing.bin": "",
}


@pytest.fixture(scope="module")
def standing(tmp_path_factory) -> Iterator[Embedded]:
    """A machine for the tests that only look: an app, and a static site with traps laid in its tree."""
    with embedded(tmp_path_factory.mktemp("standing") / "root") as machine:
        for name in (BLOG, PAGES):
            machine.host.accounts.ensure(name)
        machine.lay(BLOG, 1, {})
        machine.lay_public(PAGES, 1, FILES)
        public = machine.layout.public(PAGES, 1)
        (public.parent / "secret").write_text("secret")
        (public / "link.txt").symlink_to(public.parent / "secret")
        (public / "inside.txt").symlink_to("letters.txt")
        (public / "root").symlink_to("/")
        os.mkfifo(public / "pipe")
        yield machine


@pytest.fixture(scope="module")
def pages(standing: Embedded) -> str:
    return standing.host.sites.publish(Site(PAGES, 1)).url


@pytest.fixture(scope="module")
def app(standing: Embedded) -> str:
    return publish(standing)[0]


@pytest.fixture
def own_pages(real: Embedded) -> str:
    """A static site of the test's own, to be changed."""
    real.lay_public(BLOG, 1, FILES)
    return real.host.sites.publish(Site(BLOG, 1)).url


@pytest.fixture(scope="module")
def nginx() -> Iterator[Nginx]:
    """A real nginx with a site of every kind."""
    with standing_nginx(FILES) as started:
        yield started
