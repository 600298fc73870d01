"""Whether the walls stand: a canary in the sandbox of a deployment tries what must not work, and the layers that would
fail without a word are tried one at a time.

The result is a file that everybody may read, for the panel and for monitoring:

    {"format": 1, "ok": false, "at": 1764111600.0, "seconds": 9.4, "error": "",
     "counts": {"blocked": 60, "allowed": 1, "unclear": 0, "absent": 7},
     "actions": [{"id": "dbus", "action": "open the system bus", "outcome": "allowed", "detail": "/run/dbus/…"}, …],
     "layers":  [{"id": "ip-filter", "claim": "the kernel enforces IPAddressDeny=", "holds": true, "detail": ""}, …],
     "units":   [{"unit": "wo-blog--3-web-1.service", "wrong": ["NoNewPrivs: 0"]}, …]}

`ok` is true when nothing was allowed or unclear, every layer holds and no running unit differs from what was rendered.
`absent` means that there was nothing to try it on. `error` says why the test itself could not be made; then `ok` is
false. A result whose `at` is more than two hours old is no result: the timer runs hourly.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from webops_host import files, runner
from webops_host.command import Command
from webops_host.errors import HostError
from webops_host.linux import firewall, firewall_load, resolvers, sandbox, selftest_units, systemd
from webops_host.linux import selftest_targets as targets
from webops_host.linux.layout import ServerLayout
from webops_host.linux.uids import CANARY_UID
from webops_host.values import Limits

RESULT = Path("/var/lib/webops/selftest.json")
PROBE = Path(__file__).with_name("selftest_probe.py")
PYTHON = "/usr/bin/python3"
CANARY, NOBODY = "webops-canary", "nobody"
ENOUGH = 25  # refusals; fewer say that there was little to try, and not that the walls stand
LIMITS = Limits(memory_mib=256, cpu_percent=100, tasks=64)
FIREWALL = "webops-firewall.service"

Outcome = dict[str, str]
Layer = dict[str, Any]
Property = sandbox.Property


def main(words: list[str] | None = None) -> int:
    """Test, write the result, say in a line what is wrong. 0 when everything holds."""
    layout, began = ServerLayout(), time.time()
    result = _result(began, error="It was not finished.")
    try:
        with targets.prepared(layout, CANARY_UID) as (groups, nest):
            actions = canary(layout, groups, nest)
            layers = [*walls(groups, nest), _enough(actions)]
        result = _result(began, actions, layers, selftest_units.differing())
    except HostError as error:
        result = _result(began, error=f"{error.message} {error.facts.get('last', '')}".strip())
    except (OSError, ValueError) as error:
        result = _result(began, error=str(error) or type(error).__name__)
    files.write_whole(RESULT, json.dumps(result, indent=1).encode(), mode=0o644)
    for line in complaints(result):
        print(line, file=sys.stderr)  # noqa: T201 - the journal is where it is looked for
    return 0 if result["ok"] else 1


def complaints(result: dict[str, Any]) -> Iterator[str]:
    """What is wrong, a line each; nothing when everything holds."""
    if result["error"]:
        yield f"The self-test could not be made: {result['error']}"
    for action in result["actions"]:
        if action["outcome"] in ("allowed", "unclear"):
            yield f"A deployment may {action['action']} ({action['outcome']}: {action['detail']})"
    for layer in result["layers"]:
        if not layer["holds"]:
            yield f"It does not hold that {layer['claim']} ({layer['detail']})"
    for unit in result["units"]:
        yield f"{unit['unit']} runs otherwise than written: {', '.join(unit['wrong'])}"


def canary(layout: ServerLayout, groups: targets.Groups, nest: Path) -> list[Outcome]:
    """Everything, tried in the sandbox that a deployment's unit has."""
    release, shared = nest / "release", nest / "shared"
    own = {**groups, "own-release-write": [str(release)]}
    properties = (
        *_user(CANARY),
        *sandbox.LOCKED,
        *sandbox.limits(LIMITS, LIMITS),
        *sandbox.network(resolvers.read()),
        *sandbox.view(layout.root, readable=(release,), writable=(shared,)),
    )
    return _probe(properties, own, shared)


def walls(groups: targets.Groups, nest: Path) -> Iterator[Layer]:
    """Each layer by itself, so that one does not hide that another is gone."""
    yield _layer("firewall-unit", "the firewall's unit is active", systemd.show([FIREWALL])[FIREWALL].active, "active")
    yield _layer("firewall-table", "the kernel has the rules as they were loaded", firewall_load.is_loaded(), True)
    before = _counted()
    for name, user in (("apps", CANARY), ("fetches", "webops-fetch"), ("builds", "webops-build")):
        tried = _probe(_user(user), groups, nest, network_only=True)
        open_ = [f"{each['id']}: {each['detail']}" for each in tried if each["outcome"] in ("allowed", "unclear")]
        yield _layer(f"firewall-{name}", f"the firewall holds {name} without the sandbox's help", open_, [])
    risen = [name for name, packets in _counted().items() if packets > before.get(name, 0)]
    yield _layer("firewall-counts", "what is refused is counted", "to_metadata" in risen and "to_inner" in risen, True)
    here = {"this-machine": [place for place in groups["this-machine"] if place[0] in ("127.0.0.1", "::1")]}
    free = _outcome(_probe(_user(NOBODY), here, nest, network_only=True), "this-machine")
    yield _layer("control", "without any layer the test reaches what it tries", free, "allowed")
    denied = (*_user(NOBODY), ("IPAddressDeny", "127.0.0.0/8 ::1/128"))
    held = _outcome(_probe(denied, here, nest, network_only=True), "this-machine")
    yield _layer("ip-filter", "the kernel enforces IPAddressDeny=", held != "allowed", True)


def _enough(actions: Iterable[Outcome]) -> Layer:
    number = sum(action["outcome"] == "blocked" for action in actions)
    return _layer("enough", f"at least {ENOUGH} actions were refused", number >= ENOUGH, True)


def _probe(
    properties: Iterable[Property], groups: targets.Groups, shared: Path, *, network_only: bool = False
) -> list[Outcome]:
    """Run the probe in a transient unit with these properties. Raises CommandFailed, ValueError."""
    asked = {"groups": groups, "shared": str(shared), "pid": os.getpid(), "network_only": network_only}
    words = [word for key, value in properties for word in ("--property", f"{key}={value}")]
    command = Command(
        (
            "/usr/bin/systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--service-type=exec",
            "--slice=webops-apps.slice", "--description=WebOps: the canary", *words,
            "--property=RuntimeMaxSec=60", "--", PYTHON, "-I", "-", json.dumps(asked),
        ),
        env=systemd.ENV, stdin=PROBE.read_bytes(), timeout=90.0,
    )  # fmt: skip
    found: list[Outcome] = json.loads(runner.run_binary(command))
    return found


def _user(name: str) -> tuple[Property, ...]:
    return (("User", name),)


def _counted() -> dict[str, int]:
    try:
        return firewall.counted(runner.run_binary(firewall.show()))
    except HostError:
        return {}


def _outcome(outcomes: Iterable[Outcome], name: str) -> str:
    return next((each["outcome"] for each in outcomes if each["id"] == name), "absent")


def _layer(name: str, claim: str, found: object, wanted: object) -> Layer:
    holds = found == wanted
    return {"id": name, "claim": claim, "holds": holds, "detail": "" if holds else f"found {found!r:.300}"}


def _result(
    began: float,
    actions: list[Outcome] | None = None,
    layers: list[Layer] | None = None,
    units: list[dict[str, Any]] | None = None,
    *,
    error: str = "",
) -> dict[str, Any]:
    counts = Counter(action["outcome"] for action in actions or ())
    holds = all(layer["holds"] for layer in layers or ()) and not units
    return {
        "format": 1,
        "ok": not error and holds and not counts["allowed"] and not counts["unclear"],
        "at": round(began, 1),
        "seconds": round(time.time() - began, 1),
        "error": error,
        "counts": {name: counts[name] for name in ("blocked", "allowed", "unclear", "absent")},
        "actions": actions or [],
        "layers": layers or [],
        "units": units or [],
    }
