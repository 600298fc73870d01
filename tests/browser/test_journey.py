"""A site from its address to its end, as a person does it in the panel."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.browser.conftest import Visit
from tests.journeys.broken import DJANGO, SETTINGS, URLS
from tests.support.browsing import Person
from tests.support.git_server import GitServer
from tests.support.platform import Platform
from tests.support.waiting import until

from webops_host.names import DeploymentName

pytestmark = pytest.mark.browser
WAITING = "echo the oven is on; until [ -s {gate} ]; do sleep 0.05; done; cat {gate}"
SHOP_SETTINGS = SETTINGS + 'import os\nGREETING = os.environ["GREETING"]  # what visitors read first\n'
SHOP_PAGE = (
    URLS.replace("def home", "from django.conf import settings\ndef home")
    .replace('"hello"', 'f"{settings.GREETING}, this is version 1"')
)  # fmt: skip


def contract(command: str) -> str:
    return f'[build]\ncommand = "{command}"\npublish = "site"\n'


def static(text: str) -> str:
    return f"<!doctype html><title>Bakery</title><h1>{text}</h1>"


def start(person: Person, address: str, name: str) -> None:
    """From the list to what was found."""
    person.follow("New deployment")
    person.page.get_by_label("Repository").fill(address)
    person.page.get_by_label("Name", exact=False).first.fill(name)
    person.shot(f"{name}-new")
    person.press("Look at it")
    expect(person.page.get_by_role("button", name="Deploy", exact=True)).to_be_visible(timeout=60_000)


def site_says(person: Person, text: str) -> None:
    with person.site() as page:
        expect(page.locator("body")).to_contain_text(text)


def redeploy(person: Person, state: str = "Live") -> None:
    person.press("Deploy now")
    person.title("Release #")
    person.state(state)


def roll_back(person: Person, number: int) -> None:
    person.tab("Releases")
    person.page.get_by_role("link", name=f"Roll back to #{number}").click()
    person.title(f"Roll back to release #{number}?")
    person.shot("rollback")
    person.press("Roll back")
    person.state("Live")


def paste(person: Person, text: str, *changes: str) -> None:
    """Paste variables, see what they change, save, and see that they are not applied yet."""
    person.tab("Variables")
    person.page.get_by_label(".env").fill(text)
    person.press("See what changes")
    for change in changes:
        person.shows(change)
    person.shot("paste")
    person.press("Save")
    person.shows("not applied yet")


def failure(person: Person, *words: str) -> None:
    """What went wrong, what shows it, what to do, and that the site is unharmed."""
    told = person.page.locator("#failure")
    expect(told).to_be_visible()
    for word in words:
        expect(told).to_contain_text(word)
    expect(told.locator("h2")).not_to_be_empty()
    expect(told.locator("h2 + p")).not_to_be_empty()
    expect(told.locator("pre")).not_to_be_empty()
    expect(told).to_contain_text("still serves")


def remove(person: Person, name: str) -> None:
    person.tab("Delete")
    person.shot("delete")
    person.page.get_by_label(f"Type {name} to confirm").fill(name)
    person.press("Delete for good")
    person.title("Deployments")
    gone = person.page.get_by_role("link", name=name, exact=True)
    expect(gone).to_have_count(0, timeout=30_000)


def test_a_static_site_from_its_address_to_its_end(
    visitor: Visit, platform: Platform, server: GitServer, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    command = WAITING.format(gate=gate)
    repository = server.repository(
        "team/bakery", {"site/index.html": static("Fresh bread"), "webops.toml": contract(command)}
    )
    with visitor() as person:
        person.shot("sign-in")
        person.sign_in()
        start(person, server.url("team/bakery"), "bakery")
        person.shows("site")
        person.shot("bakery-found")
        person.press("Deploy")
        with person.without_reload():
            person.log_line("the oven is on")
            assert person.page.locator(".log li").filter(has_text="it is baked").count() == 0
            expect(person.page.locator("#live-state .is-running")).to_contain_text("Build")
            gate.write_text("it is baked\n")
            person.log_line("it is baked")
            person.state("Live")
        site_says(person, "Fresh bread")

        repository.commit({"site/index.html": static("Fresh cake")}, "Bake a cake")
        redeploy(person)
        person.shows("Bake a cake")
        site_says(person, "Fresh cake")
        roll_back(person, 1)
        site_says(person, "Fresh bread")

        paste(person, "OVEN=gas\nHEAT=220\n", "OVEN", "added")
        person.press("Deploy")
        person.state("Live")
        site_says(person, "Fresh cake")
        expect(person.page.get_by_text("not applied yet")).to_have_count(0)

        repository.commit({"webops.toml": contract("echo the oven is cold && exit 2")}, "Save gas")
        redeploy(person, "Failed")
        failure(person, "the oven is cold", "release #4")
        site_says(person, "Fresh cake")
        remove(person, "bakery")
    until(lambda: platform.host.sites.address(DeploymentName("bakery")) is None, "the site to be gone")


def test_a_django_app_from_its_address_to_its_end(visitor: Visit, platform: Platform, server: GitServer) -> None:
    files = {**DJANGO, "shop/settings.py": SHOP_SETTINGS, "shop/urls.py": SHOP_PAGE}
    repository = server.repository("team/shop", files)
    with visitor() as person:
        person.sign_in()
        start(person, server.url("team/shop"), "shop")
        person.shows("Django 5.2")
        person.shows("gunicorn shop.wsgi")
        person.shot("shop-found")
        person.page.get_by_label("GREETING").fill("Good morning")
        person.press("Deploy")
        with person.without_reload():
            person.state("Live")
            person.log_line("migrate")
        person.shot("shop-live")
        site_says(person, "Good morning, this is version 1")

        repository.commit({"shop/urls.py": SHOP_PAGE.replace("version 1", "version 2")}, "Sell more")
        redeploy(person)
        site_says(person, "Good morning, this is version 2")
        roll_back(person, 1)
        site_says(person, "Good morning, this is version 1")

        paste(person, "GREETING='Good evening'\nSTRIPE_KEY=sk_test_1\n", "GREETING", "changed", "STRIPE_KEY", "added")
        site_says(person, "Good morning")
        person.shot("shop-variables")
        person.press("Deploy")
        person.state("Live")
        site_says(person, "Good evening, this is version 2")

        repository.commit({"shop/settings.py": SHOP_SETTINGS + "import shop_secrets\n"}, "Keep secrets")
        redeploy(person, "Failed")
        failure(person, "shop_secrets", "release #4")
        person.shot("shop-failed")
        site_says(person, "Good evening, this is version 2")

        person.tab("Processes")
        expect(person.page.locator("#units")).to_contain_text("Running")
        person.press("Stop")
        expect(person.page.locator("#head")).to_contain_text("Stopped")
        person.press("Start")
        expect(person.page.locator("#head")).to_contain_text("Running", timeout=30_000)
        remove(person, "shop")
    until(lambda: platform.host.sites.address(DeploymentName("shop")) is None, "the site to be gone")
