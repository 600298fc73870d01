"""A command on a schedule as files for systemd: a timer, and the service that it starts, which runs once and ends.

Like every unit of a deployment they are named by release. The rest of the name is the command's own label, so that a
command is known again in the release after. No kind of process can have such a name: it would end with a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from webops_host import cron, programs
from webops_host.environment import runtime_environment, working_folder
from webops_host.errors import BadValue, NotFound
from webops_host.linux import calendar, sandbox, unit_text
from webops_host.linux.units import FIREWALL, TARGET, Files, Surroundings, readable
from webops_host.names import DeploymentName
from webops_host.project_shell import command_line
from webops_host.timed_values import TimedCommand
from webops_host.values import Runtime

NAME = re.compile(r"wo-([a-z][a-z0-9-]*?)--(\d+)-cron-(c[0-9a-f]{12})")
PATTERN = "--*-cron-c*"
"""What follows `wo-` and a deployment's name in the names of all of these."""
END_SECONDS = 10


def name_of(name: DeploymentName, release: int, label: str) -> str:
    """Without a suffix."""
    return f"wo-{name}--{release}-cron-{label}"


def parse(unit: str) -> tuple[DeploymentName, int, str] | None:
    """Deployment, release and label of a unit, with its suffix or without; None for any other."""
    found = NAME.fullmatch(unit.partition(".")[0])
    if found is None:
        return None
    try:
        return DeploymentName(found[1]), int(found[2]), found[3]
    except BadValue:
        return None


def files(around: Surroundings, runtime: Runtime, command: TimedCommand, user: str) -> Files:
    """The files of a command that runs as `user`. Raises NotFound when the release's source is not there."""
    layout, name = around.layout, name_of(runtime.name, runtime.release, command.label)
    folder = working_folder(layout, runtime)
    if not folder.is_dir():
        raise NotFound(
            f"The files of release {runtime.release} of {runtime.name} are not here.",
            hint="Deploy it again: its files were removed.",
        )
    marked = {"WEBOPS_UNIT": programs.build_mark(layout, runtime)}
    title = f"WebOps: {runtime.name}, release {runtime.release}, on a schedule"
    service = unit_text.unit({"Unit": _unit(title), "Service": _service(around, runtime, command, user, name)})
    timer = unit_text.unit({"Unit": (("Description", title), ("PartOf", TARGET)), "Timer": _timer(command, name)})
    variables = unit_text.variables(runtime_environment(layout, runtime, extra=marked))
    return Files({f"{name}.service": service, f"{name}.timer": timer}, variables)


def _unit(title: str) -> Iterator[tuple[str, str]]:
    yield "Description", title
    yield "Requires", FIREWALL
    yield "After", f"network.target postgresql.service {FIREWALL}"
    yield "PartOf", TARGET
    yield "StartLimitIntervalSec", "0"
    yield "CollectMode", "inactive-or-failed"


def _service(
    around: Surroundings, runtime: Runtime, command: TimedCommand, user: str, name: str
) -> Iterator[tuple[str, str]]:
    """`oneshot`: while it runs it is being started, and starting it once more is nothing."""
    yield "Type", "oneshot"
    yield "User", user
    yield "Group", user
    yield "Slice", "webops-apps.slice"
    yield "EnvironmentFile", str(around.layout.unit_variables(name))
    yield "WorkingDirectory", unit_text.text(str(working_folder(around.layout, runtime)))
    yield "ExecStart", unit_text.exec_words(("/usr/bin/env", "--", *command_line(command.line)))
    yield "TimeoutStartSec", str(int(command.timeout))
    yield "TimeoutStopSec", str(END_SECONDS)
    yield "SyslogIdentifier", name
    yield from sandbox.LOCKED
    yield from sandbox.limits(runtime.limits, around.most)
    yield from sandbox.network(around.resolvers)
    shared = around.layout.shared(runtime.name)
    yield from sandbox.view(around.layout.root, readable=readable(around.layout, runtime), writable=(shared,))


def _timer(command: TimedCommand, name: str) -> Iterator[tuple[str, str]]:
    for event in calendar.events(cron.parse(command.schedule)):
        yield "OnCalendar", event
    yield "AccuracySec", "1s"
    yield "Persistent", "yes"  # what the machine slept through is made up for, once
    yield "Unit", f"{name}.service"
