"""A laptop keeps no time of its own: the worker does, for as long as WebOps runs."""

from __future__ import annotations

from webops_host.environment import working_folder
from webops_host.errors import NotFound
from webops_host.layout import Layout
from webops_host.names import DeploymentName
from webops_host.timed_values import TimedCommand, TimedRun
from webops_host.values import Runtime


class EmbeddedTimers:
    """Satisfies `ports.Timers`."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def arrange(self, runtime: Runtime, commands: tuple[TimedCommand, ...]) -> bool:
        if commands and not working_folder(self._layout, runtime).is_dir():
            raise NotFound(f"The files of release {runtime.release} of {runtime.name} are not here.")
        return False

    def stop(self, name: DeploymentName) -> None:
        return None

    def runs(self, name: DeploymentName, since: int) -> tuple[TimedRun, ...]:
        return ()
