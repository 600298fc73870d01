"""The release work of a Django project: one process of the project's own Python does all of it, and reports in a file.

The files of `overlay/` are copied into the release, because they run inside the project's environment and not in ours.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from webops_host import codec, runner
from webops_host.command import Command
from webops_host.errors import BadValue, CommandFailed, CommandTimedOut
from webops_host.values import Console, DjangoFacts, DjangoWork

OVERLAY = Path(__file__).with_name("overlay")
PROGRAM = "django_release.py"
PHASES = {
    "setup": "The project's settings or apps could not be loaded.",
    "check": "Django's system check found errors.",
    "migrate": "A migration failed.",
    "collectstatic": "The static files could not be collected.",
}


def place_overlay(folder: Path) -> None:
    """Have the overlay's files in a release. Again: nothing changes."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(OVERLAY.glob("*.py")):
        target = folder / file.name
        if not target.is_file() or target.read_bytes() != file.read_bytes():
            shutil.copyfile(file, target)


def perform(command: Command, work: DjangoWork, report: Path, console: Console) -> DjangoFacts:
    """Run the work and read what it reports. Raises CommandFailed or CommandTimedOut, with the `phase` it was in."""
    parts = [name for name, wanted in (("migrate", work.migrate), ("collectstatic", work.collectstatic)) if wanted]
    report.unlink(missing_ok=True)
    env = {**command.env, "WEBOPS_WORK": ",".join(parts), "WEBOPS_REPORT": str(report)}
    try:
        runner.run(replace(command, env=env), console)
    except CommandFailed as error:
        phase = _phase(report)
        message = error.message if error.facts.get("oom") else PHASES[phase]
        hint = error.hint or "The lines above say where."
        raise CommandFailed(message, hint=hint, facts={**error.facts, "phase": phase}) from error
    except CommandTimedOut as error:
        raise CommandTimedOut(error.message, hint=error.hint, facts={**error.facts, "phase": _phase(report)}) from error
    return _facts(report)


def _phase(report: Path) -> str:
    try:
        phase = json.loads(report.read_text())["phase"]
    except (OSError, ValueError, KeyError, TypeError):
        return "setup"
    return phase if phase in PHASES else "setup"


def _facts(report: Path) -> DjangoFacts:
    """The project's code could have written this file: it is read like any other input."""
    try:
        return codec.load(DjangoFacts, json.loads(report.read_text())["facts"])
    except (OSError, ValueError, KeyError, TypeError, BadValue) as error:
        raise CommandFailed(
            "The release work ended without its report.",
            hint="Something in the project ends the process early, for example sys.exit() in its settings.",
            facts={"program": "python", "status": 0, "oom": False, "phase": _phase(report)},
        ) from error
