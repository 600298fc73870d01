"""Releases on a server: code alone, with a migration, back, a second app with the same lock, a static site."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

from bench import report, samples
from bench.server.ground import Ground, Sample
from bench.stats import ratio, spread

CASES = ("code", "code again", "migration", "rollback", "second app", "static")


def run(ground: Ground, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    shop = samples.Shop(ground.repository("bench/shop"), "shop")
    site = samples.StaticSite(ground.repository("bench/site"), "site")
    client, found = ground.client, {case: [] for case in CASES}

    def new(name: str) -> Sample:
        url = ground.git.url("bench/shop")

        def make() -> int:
            client.create(name, url)
            return 1

        return ground.timed(ground.fresh(name), shop.change_code(), make)

    def back() -> Sample:
        before, now = shop.change_code(), shop.change_code  # two releases of code, then back to the first
        number = client.deploy("bench-shop")
        client.over("bench-shop", number)
        client.over("bench-shop", _deployed(client, now))
        return ground.timed("bench-shop", before, lambda: client.rollback("bench-shop", number))

    def redeploy(marker: str) -> Sample:
        return ground.timed("bench-shop", marker, lambda: client.deploy("bench-shop"))

    def static() -> Sample:
        return ground.timed("bench-site", site.change_page(), lambda: client.deploy("bench-site"), "/")

    first = new("bench-shop")
    say(f"first deploy: {first.seconds:.2f} s")
    ground.created("bench-site", "bench/site")
    acts: dict[str, Callable[[], Sample]] = {
        "code": lambda: redeploy(shop.change_code()),
        "code again": lambda: redeploy(shop.change_code()),
        "migration": lambda: redeploy(shop.add_migration()),
        "rollback": back,
        "second app": lambda: new("bench-second"),
        "static": static,
    }
    for number in range(rounds):
        for case in (*CASES[number % len(CASES) :], *CASES[: number % len(CASES)]):
            found[case].append(acts[case]())
            say(f"round {number + 1}, {case}: {found[case][-1].seconds:.2f} s")
    return {"first": first, "samples": found}


def _deployed(client: Any, commit: Callable[[], str]) -> int:
    commit()
    return int(client.deploy("bench-shop"))


def shown(found: dict[str, Any]) -> str:
    lanes = {case: [sample.seconds for sample in samples] for case, samples in found["samples"].items()}
    code = lanes["code"] + lanes["code again"]
    rows = []
    for case, seconds in lanes.items():
        one = spread(seconds)
        parts = {name: median(s.parts.get(name, 0.0) for s in found["samples"][case]) for name in _names(found, case)}
        rows.append(
            (
                case,
                f"**{one.middle * 1000:,.0f}** ({one.low * 1000:,.0f}–{one.high * 1000:,.0f})",
                str(ratio(seconds, code)),
                ", ".join(f"{name} {taken * 1000:.0f}" for name, taken in parts.items()),
            )
        )
    same = ratio(lanes["code"], lanes["code again"])
    head = ("release", "ms", "of a release of code", "steps, ms")
    first = f"First deploy, with what it has to fetch: {found['first'].seconds:.1f} s."
    return f"{report.table(head, rows)}\n\n{first} Ours to ours: {same}.\n"


def _names(found: dict[str, Any], case: str) -> list[str]:
    return list(dict.fromkeys(name for sample in found["samples"][case] for name in sample.parts))
