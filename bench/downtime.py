"""The promise under load: releases, rollbacks and releases that fail, while visitors come all the time.

No request may fail, and none may be served by an old release more than a second after the API says that the new one is
live. As a control the site is stopped and started under the same load, which must lose some.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from bench import load, patient, report
from bench.children import Failed
from bench.client import Client
from bench.load import Hit, Load
from bench.patient import PatientApp
from bench.sides import Ours
from bench.stats import percentile
from bench.world import World

GRACE = 1.0  # seconds after "live" in which the old release may still answer
AROUND = 1.0  # seconds before and after "live" that count as the switch
CALM, PAUSE = 6.0, 0.6
DOWN = 1.0


@dataclass(frozen=True)
class Size:
    """How much is done on each of the two sites. Every second deploy is followed by a rollback and every fourth by a
    release that fails, as long as there are some to do."""

    deploys: int
    rollbacks: int
    failing: int
    rate: float
    changes: int = 0


FULL = Size(deploys=20, rollbacks=10, failing=5, rate=120.0)
QUICK = Size(deploys=3, rollbacks=2, failing=1, rate=60.0)


@dataclass(frozen=True)
class Event:
    """One release: what was asked, what came of it. Times are Unix times."""

    kind: str
    number: int
    marker: str
    state: str
    asked_at: float
    live_at: float | None
    over_at: float
    cause: str = ""

    @property
    def as_wanted(self) -> bool:
        return (self.state == "failed") == (self.kind == "failing")


@dataclass
class Story:
    """One site under load. `first` is the marker that was live before."""

    site: str
    size: Size
    first: str
    events: list[Event] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    control: list[Hit] = field(default_factory=list)

    @property
    def failed(self) -> list[Hit]:
        return [hit for hit in self.hits if hit.failed]

    @property
    def stale(self) -> list[Hit]:
        """Served by a release that was not, or no longer, the live one."""
        spans = list(self._spans())
        return [hit for hit in self.hits if hit.marker and not any(_covers(span, hit) for span in spans)]

    @property
    def lost_by_control(self) -> int:
        return sum(bool(hit.failed) for hit in self.control)

    @property
    def kept(self) -> bool:
        """Whether the promise was kept, by a run that could have seen it broken."""
        done = [
            sum(event.kind == kind for event in self.events) for kind in ("deploy", "rollback", "failing", "change")
        ]
        whole = done == [self.size.deploys, self.size.rollbacks, self.size.failing, self.size.changes]
        good = whole and all(event.as_wanted for event in self.events) and len(self.hits) > self.size.rate * CALM
        return good and not self.failed and not self.stale and self.lost_by_control > 0

    def latencies(self, when: str) -> list[float]:
        """Of the requests that came at `rest`, while a `release` was under way, or around a `switch`."""
        return [hit.seconds for hit in self.hits if self._when(hit) == when]

    def _when(self, hit: Hit) -> str:
        for event in self.events:
            if event.live_at is not None and abs(hit.due - event.live_at) <= AROUND:
                return "switch"
        busy = any(event.asked_at <= hit.due <= event.over_at for event in self.events)
        return "release" if busy else "rest"

    def _spans(self) -> Iterator[tuple[str, float, float]]:
        """Each marker with when it became live and when it ceased to be."""
        lives = [(self.first, 0.0)]
        lives += [(event.marker, event.live_at) for event in self.events if event.live_at is not None]
        for (marker, since), (_, until) in zip(lives, [*lives[1:], ("", float("inf"))], strict=True):
            yield marker, since, until


def _covers(span: tuple[str, float, float], hit: Hit) -> bool:
    marker, since, until = span
    return hit.marker == marker and hit.began <= until + GRACE and hit.ended >= since - GRACE


# --- doing it --------------------------------------------------------------------------------------------------------


def run(world: World, size: Size, say: Callable[[str], None]) -> list[Story]:
    """Both sites, one after the other."""
    ours = Ours(world)
    return [_app(ours, size, say), _site(ours, size, say)]


def _app(ours: Ours, size: Size, say: Callable[[str], None]) -> Story:
    first = ours.new_app("shop").marker
    before = ours.redeploy("shop", ours.shop.change_code()).marker
    ways = ("import", "health")

    def commit(kind: str, count: int) -> str:
        if kind == "failing":
            return ours.shop.break_down(ways[count % len(ways)])
        return ours.shop.add_migration() if count % 5 == 4 else ours.shop.change_code()

    releases = _Releases(ours.client, "shop", commit, [(1, first), (2, before)])
    return _under_load(Story("Django app", size, before), ours.url("shop"), load.app_requests, releases, say)


def _site(ours: Ours, size: Size, say: Callable[[str], None]) -> Story:
    first = ours.new_site("site").marker
    before = ours.redeploy_site("site", ours.site.change_page()).marker

    def commit(kind: str, count: int) -> str:
        return ours.site.break_down() if kind == "failing" else ours.site.change_page()

    releases = _Releases(ours.client, "site", commit, [(1, first), (2, before)])
    requests = load.site_requests(ours.site.files)
    return _under_load(Story("static site", size, before), ours.url("site"), requests, releases, say)


def of_server(
    client: Client, address: str, app: PatientApp, url: str, size: Size, say: Callable[[str], None], name: str = "shop"
) -> Story:
    """A deployment of an app that takes its time to start, on a booted server. Its first release is live."""
    ways = ("import", "health")

    def commit(kind: str, count: int) -> str:
        if kind == "change":
            client.change(name, COLOUR=f"colour-{count}")
            return app.coloured(f"colour-{count}")
        return app.break_down(ways[count % len(ways)]) if kind == "failing" else app.change_code()

    releases = _Releases(client, name, commit, [(1, app.marker)])
    story = Story("patient Django app", size, app.marker)
    return _under_load(story, url, patient.requests(size.rate), releases, say, address)


@dataclass
class _Releases:
    """Asks for releases of one deployment and remembers what was live, with the marker of each."""

    client: Client
    name: str
    commit: Callable[[str, int], str]
    lived: list[tuple[int, str]]
    done: dict[str, int] = field(default_factory=dict)

    def take(self, kind: str) -> Event:
        count = self.done.get(kind, 0)
        self.done[kind] = count + 1
        if kind == "rollback":
            target, marker = next(one for one in reversed(self.lived) if one[1] != self.lived[-1][1])
            asked_at = time.time()
            number = self.client.rollback(self.name, target)
        else:
            marker, asked_at = self.commit(kind, count), time.time()
            number = self.client.deploy(self.name)
        found = self.client.over(self.name, number)
        if found["live_at"]:
            self.lived.append((number, marker))
        live_at = datetime.fromisoformat(found["live_at"]).timestamp() if found["live_at"] else None
        return Event(kind, number, marker, found["state"], asked_at, live_at, time.time(), found["cause"])


def _under_load(
    story: Story,
    url: str,
    requests: Callable[[int], load.Asked],
    releases: _Releases,
    say: Callable[[str], None],
    address: str = "",
) -> Story:
    with Load(url, requests, story.size.rate, address) as visitors:
        time.sleep(CALM)
        for kind in _order(story.size):
            event = releases.take(kind)
            story.events.append(event)
            word = "" if event.as_wanted else " (NOT WANTED)"
            say(f"{story.site}: {kind} #{event.number} {event.state}{word} {event.cause}".rstrip())
            time.sleep(PAUSE)
        time.sleep(GRACE + PAUSE)
    story.hits = visitors.hits
    say(f"{story.site}: stop and start, the control")
    with Load(url, requests, story.size.rate, address) as visitors:
        time.sleep(DOWN)
        releases.client.power(releases.name, "stop")
        time.sleep(DOWN)
        releases.client.power(releases.name, "start")
        time.sleep(DOWN)
    story.control = visitors.hits
    if not story.hits:
        raise Failed("The load did not run.")
    return story


def _order(size: Size) -> Iterator[str]:
    """All events, mixed; the same order each time."""
    rollbacks, failing, changes = size.rollbacks, size.failing, size.changes
    for number in range(1, size.deploys + 1):
        yield "deploy"
        if rollbacks and (number % 2 == 0 or rollbacks > (size.deploys - number)):
            rollbacks -= 1
            yield "rollback"
        if failing and (number % 4 == 0 or failing > (size.deploys - number)):
            failing -= 1
            yield "failing"
        if changes and (number % 4 == 2 or changes > (size.deploys - number)):
            changes -= 1
            yield "change"


# --- showing it ------------------------------------------------------------------------------------------------------


def shown(stories: list[Story]) -> str:
    head = (
        *("site", "requests", "POST", "failed", "by an old release", "p50 / p99 / max ms at rest"),
        *("during releases", "around switches", "generator late p99, ms", "lost by stop and start", "promise"),
    )
    rows = [
        (
            story.site,
            f"{len(story.hits):,}",
            f"{sum(hit.method == 'POST' for hit in story.hits):,}",
            str(len(story.failed)),
            str(len(story.stale)),
            *(_three(story.latencies(when)) for when in ("rest", "release", "switch")),
            f"{percentile([hit.began - hit.due for hit in story.hits], 0.99) * 1000:.0f}",
            f"{story.lost_by_control} of {len(story.control)}",
            "kept" if story.kept else "BROKEN",
        )
        for story in stories
    ]
    return f"{report.table(head, rows)}\n{''.join(_wrongs(story) for story in stories)}"


def _three(seconds: list[float]) -> str:
    found = (percentile(seconds, 0.5), percentile(seconds, 0.99), max(seconds, default=float("nan")))
    return " / ".join(f"{one * 1000:.0f}" for one in found)


def _wrongs(story: Story) -> str:
    lines = [f"- {story.site}: {event.kind} #{event.number} {event.state}: {event.cause}" for event in story.events]
    lines = [line for line, event in zip(lines, story.events, strict=True) if not event.as_wanted]
    lines += [f"- {story.site}: {hit.method} {hit.path} at {hit.due:.3f}: {hit.failed}" for hit in story.failed[:10]]
    lines += [f"- {story.site}: {hit.path} at {hit.due:.3f} by {hit.marker}" for hit in story.stale[:10]]
    return "".join(f"\n{line}" for line in lines) + ("\n" if lines else "")
