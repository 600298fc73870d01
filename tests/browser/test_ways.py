"""The same pages by keyboard, on a phone, in the dark, without JavaScript, over a connection that breaks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Response, expect
from tests.browser.conftest import Visit
from tests.journeys.broken import DJANGO, SETTINGS
from tests.support.browsing import PHONE, RELEASE_TIME, Person
from tests.support.git_server import GitServer
from tests.support.platform import Platform
from tests.support.waiting import until

from webops_host.names import DeploymentName

pytestmark = pytest.mark.browser
NEEDS = SETTINGS + 'import os\nSTRIPE_KEY = os.environ["STRIPE_KEY"]\nSENTRY_DSN = os.environ.get("SENTRY_DSN", "")\n'
OF_ONE = (
    "", "releases/", "logs/", "variables/", "domains/", "site/", "processes/", "commands/", "settings/", "runs/",
    "delete/",
)  # fmt: skip
PAGES = (
    "/account/login/",
    "/deployments/",
    "/deployments/new/",
    "/databases/",
    "/account/",
    "/account/tokens/",
    *(f"/deployments/clinic/{page}" for page in (*OF_ONE, "releases/1/", "releases/2/", "releases/1/rollback/")),
    "/deployments/handbook/",
    "/deployments/handbook/processes/",
    "/deployments/choir/",
    "/deployments/orders/look/",
)


@pytest.fixture(scope="module")
def populated(platform: Platform, server: GitServer) -> Platform:
    """Deployments in every state that lasts."""
    clinic = server.repository("team/clinic", DJANGO)
    platform.call("POST", "/deployments", name="clinic", repository=server.url("team/clinic"))
    handbook = server.repository("team/handbook", {"index.html": "<h1>Handbook</h1>"})
    platform.call("POST", "/deployments", name="handbook", repository=server.url("team/handbook"))
    server.repository("team/choir", {"notes.txt": "la la"})
    platform.call("POST", "/deployments", name="choir", repository=server.url("team/choir"))
    server.repository("team/orders", {**DJANGO, "shop/settings.py": NEEDS})
    platform.call("POST", "/deployments", name="orders", repository=server.url("team/orders"), deploy=False)
    platform.call("POST", "/deployments/orders/inspect")
    assert platform.ended("clinic", 1)["state"] == "live"
    handbook.commit({"index.html": "<h1>The handbook of everything that new people ask</h1>"}, "Say what it is")
    platform.call("POST", "/deployments/handbook/deploy")
    assert platform.ended("handbook", 2)["state"] == "live"
    clinic.commit({"shop/settings.py": SETTINGS + "import shop_secrets\n"}, "Read the keys of the payment service")
    platform.call("POST", "/deployments/clinic/deploy")
    assert platform.ended("clinic", 2)["state"] == "failed"
    return platform


LOOKS = {
    "desktop": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": PHONE},
}


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_fits_and_follows_the_system(look: str, visit: Visit, populated: Platform) -> None:
    options = LOOKS[look]
    with visit(**options) as person:
        for path in PAGES:
            person.go(path)
            person.fits()
            background = person.page.evaluate("getComputedStyle(document.body).backgroundColor")
            shade = sum(int(part) for part in re.findall(r"\d+", background)[:3]) / 3
            assert (shade < 64) == (options.get("color_scheme") == "dark"), f"{path}: {background}"
            person.shot(f"{look}-{path.strip('/').replace('/', '-')}")
        person.page.locator("summary[aria-label^=Account]").click()
        person.fits()


def test_the_first_view_is_light(visit: Visit, populated: Platform) -> None:
    with visit() as person:
        answers: list[Response] = []
        person.page.on("response", lambda answer: answers.append(answer))
        person.go("/deployments/")
        expect(person.page.get_by_role("link", name="clinic", exact=True)).to_be_visible()
        person.page.wait_for_load_state("networkidle")
        sizes = {answer.url: sum(answer.request.sizes()[part] for part in WEIGHED) for answer in answers}
    print(f"{len(sizes)} requests, {sum(sizes.values())} bytes")
    assert len(sizes) <= 5, sizes
    assert sum(sizes.values()) <= 60_000, sizes


WEIGHED = ("responseBodySize", "responseHeadersSize")


def focus(person: Person, role: str, name: str) -> None:
    """Go there with the Tab key, as far as it takes, and see where one is."""
    wanted = person.page.get_by_role(role, name=name, exact=True).first  # type: ignore[arg-type]
    expect(wanted).to_be_visible(timeout=60_000)
    for _ in range(60):
        if wanted.evaluate("one => one === document.activeElement"):
            assert wanted.evaluate("one => parseFloat(getComputedStyle(one).outlineWidth)") >= 2
            return
        person.page.keyboard.press("Tab")
    raise AssertionError(f"the Tab key does not lead to {name}")


def test_by_keyboard_alone(visitor: Visit, populated: Platform, server: GitServer) -> None:
    server.repository("team/keys", {"index.html": "<h1>Keys</h1>"})
    with visitor() as person:
        keyboard = person.page.keyboard
        person.go("/")
        keyboard.type("admin")
        keyboard.press("Tab")
        keyboard.type("admin123")
        keyboard.press("Enter")
        person.title("Deployments")
        keyboard.press("Tab")
        expect(person.page.get_by_role("link", name="Skip to the content")).to_be_focused()
        keyboard.press("Enter")
        focus(person, "link", "New deployment")
        keyboard.press("Enter")
        person.title("New deployment")
        focus(person, "textbox", "Repository")
        keyboard.type(server.url("team/keys"))
        keyboard.press("Enter")
        focus(person, "button", "Deploy")
        keyboard.press("Enter")
        person.state("Live")
        focus(person, "link", "Open")


def test_without_javascript(visitor: Visit, populated: Platform, server: GitServer) -> None:
    server.repository("team/plain", {"index.html": "<h1>Plain</h1>"})
    with visitor(java_script_enabled=False) as person:
        person.sign_in()
        person.follow("New deployment")
        person.page.get_by_label("Repository").fill(server.url("team/plain"))
        person.press("Look at it")
        expect(person.page.get_by_role("button", name="Deploy", exact=True)).to_be_visible(timeout=60_000)
        person.shot("plain-found")
        person.press("Deploy")
        person.state("Live")
        person.log_line("Live at")
        person.shot("plain-live")
        with person.site() as page:
            expect(page.locator("body")).to_have_text("Plain")
        person.tab("Delete")
        person.page.get_by_label("Type plain to confirm").fill("plain")
        person.press("Delete for good")
        person.title("Deployments")


def test_a_log_goes_on_where_the_connection_was_cut(
    visit: Visit, populated: Platform, server: GitServer, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    command = f"echo one; echo two; until [ -s {gate} ]; do sleep 0.05; done; cat {gate}"
    files = {"site/index.html": "<h1>Choir</h1>", "webops.toml": f'[build]\ncommand = "{command}"\npublish = "site"\n'}
    server.repository("team/tenor", files)
    populated.call("POST", "/deployments", name="tenor", repository=server.url("team/tenor"))
    with visit() as person:
        person.go("/deployments/tenor/releases/1/")
        lines = person.page.locator(".log li > span:last-child")
        expect(lines.get_by_text("two", exact=True)).to_be_visible(timeout=RELEASE_TIME)
        person.shot("running")
        with person.without_reload(), person.cut_off():
            with populated.without_panel():
                person.shows("Connection lost. Trying again…")
                gate.write_text("three\nfour\n")
                until(lambda: populated.host.sites.address(DeploymentName("tenor")), "the release to go live unseen")
                expect(lines.get_by_text("three", exact=True)).to_have_count(0)
            person.state("Live")
            expect(lines.get_by_text("four", exact=True)).to_be_visible()
            printed = [text for text in lines.all_text_contents() if text in ("one", "two", "three", "four")]
            assert printed == ["one", "two", "three", "four"]
            expect(person.page.locator("[data-stream]")).to_be_empty()
