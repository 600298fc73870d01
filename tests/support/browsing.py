"""A person at a browser: headless Chromium that takes note of everything that should not happen on a page."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, expect
from tests.support.platform import Platform

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
RELEASE_TIME = 90_000  # milliseconds that a release may take on a busy machine
VIOLATIONS = """addEventListener("securitypolicyviolation", (event) =>
    console.error(`policy: ${event.effectiveDirective} ${event.blockedURI}`))"""


class Person:
    """Somebody with a browser of their own. `complaints` is what the browser said against our pages."""

    def __init__(self, platform: Platform, context: BrowserContext) -> None:
        self.platform, self.context = platform, context
        self.complaints: list[str] = []
        self.is_cut_off = False
        context.set_default_timeout(20_000)
        self.page = self._opened()

    def _opened(self) -> Page:
        page = self.context.new_page()
        page.on("request", self._request)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        return page

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not (self.is_cut_off and "net::ERR_" in message.text):
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.platform.address + "/", "data:")):
            self.complaints.append(f"request elsewhere: {request.url}")

    # --- going about -------------------------------------------------------------------------------------------------

    def go(self, path: str) -> None:
        self.page.goto(self.platform.address + path)

    def sign_in(self) -> None:
        self.go("/")
        self.page.get_by_label("User name or e-mail").fill("admin")
        self.page.get_by_label("Password").fill("admin123")
        self.press("Sign in")
        expect(self.page.get_by_role("heading", name="Deployments")).to_be_visible()

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str) -> None:
        self.page.get_by_role("link", name=name, exact=True).first.click()

    def tab(self, name: str) -> None:
        self.page.locator(".tabs").get_by_role("link", name=name, exact=True).click()

    def title(self, name: str) -> None:
        expect(self.page.get_by_role("heading", name=re.compile(f"^{re.escape(name)}")).first).to_be_visible()

    def shows(self, text: str, *, timeout: float = 20_000) -> Locator:
        """Wait until the page shows this text; no reload is asked for."""
        found = self.page.get_by_text(text).first
        expect(found).to_be_visible(timeout=timeout)
        return found

    def state(self, word: str) -> None:
        """Wait until the release that is looked at has come to this state."""
        pill = self.page.locator("#live-state header .state")
        ended = re.compile("Live|Was live|Failed|Cancelled|Superseded")
        expect(pill).to_have_text(ended, timeout=RELEASE_TIME)
        expect(pill).to_have_text(word)

    def log_line(self, text: str) -> None:
        expect(self.page.locator(".log li").filter(has_text=text).first).to_be_visible(timeout=RELEASE_TIME)

    @contextmanager
    def without_reload(self) -> Iterator[None]:
        """What happens inside happens on the page as it is."""
        self.page.evaluate("window.kept = true")
        yield
        assert self.page.evaluate("window.kept === true"), "the page was loaded again"

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """What happens inside may fail for want of a connection."""
        self.is_cut_off = True
        yield
        self.is_cut_off = False

    @contextmanager
    def site(self) -> Iterator[Page]:
        """The live site, opened as a person opens it: by the button, in a tab of its own."""
        with self.context.expect_page() as opening:
            self.page.get_by_role("link", name="Open", exact=True).click()
        page = opening.value
        page.wait_for_load_state()
        yield page
        page.close()

    # --- looking -----------------------------------------------------------------------------------------------------

    def fits(self) -> None:
        """Nothing has to be moved sideways to be read."""
        wide = self.page.evaluate(
            """() => document.documentElement.scrollWidth <= innerWidth ? [] :
              [`${document.documentElement.scrollWidth} > ${innerWidth}`, ...[...document.querySelectorAll("body *")]
                .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
                .map((one) => `${one.tagName}.${one.className}`).slice(0, 8)]"""
        )
        assert wide == [], f"{self.page.url}: {wide}"

    def shot(self, name: str) -> None:
        """A picture for people, in the folder WEBOPS_SCREENSHOTS names."""
        if SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}.png"), full_page=True, animations="disabled")


SCREENSHOTS = os.environ.get("WEBOPS_SCREENSHOTS", "")


@contextmanager
def person(chromium: Browser, platform: Platform, **options: Any) -> Iterator[Person]:
    """Somebody who leaves with nothing to complain about."""
    with chromium.new_context(**{"viewport": DESKTOP, "color_scheme": "light", **options}) as context:
        context.add_init_script(VIOLATIONS)
        somebody = Person(platform, context)
        try:
            yield somebody
        except BaseException:
            somebody.shot(f"failed-{urlsplit(somebody.page.url).path.strip('/').replace('/', '-')}")
            print(*somebody.complaints, sep="\n")
            raise
        assert not somebody.complaints, "\n".join(somebody.complaints)
