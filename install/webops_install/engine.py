"""Takes the steps: plan, do, look again, verify. What is done already is not done again, whoever did it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from webops_install.errors import SetupError
from webops_install.journal import Journal, seconds
from webops_install.step import Setup, Step

Group = Sequence[Step]
"""Steps that do not touch each other's things, and may be taken at the same time."""


class StepFailed(SetupError):
    """A step could not be taken, or did not hold."""

    def __init__(self, step: str, cause: SetupError) -> None:
        super().__init__(cause.message, hint=cause.hint, command=cause.command, output=cause.output)
        self.step = step


def run(groups: Iterable[Group], setup: Setup, journal: Journal) -> int:
    """Take all steps; how many changes they made. Raises StepFailed: another run goes on where this one ended."""
    made = 0
    for group in groups:
        with ThreadPoolExecutor(max_workers=len(group)) as pool:
            running = [pool.submit(take, step, setup, journal) for step in group]
        for future in running:
            made += future.result()
    return made


def take(step: Step, setup: Setup, journal: Journal) -> int:
    """One step; how many changes it made. Raises StepFailed."""
    took = seconds()
    made = 0
    journal.note(f"--- {step.name}")
    try:
        for change in step.plan(setup):
            journal.say(f"  {step.name}: {change.what}")
            change.make()
            made += 1
        if made:
            left = [change.what for change in step.plan(setup)]
            if left:
                raise SetupError(f"It was done, and is still to do: {'; '.join(left)}.")
        step.verify(setup)
    except SetupError as error:
        raise StepFailed(step.name, error) from error
    except OSError as error:
        raise StepFailed(step.name, SetupError(f"{error.strerror}: {error.filename}")) from error
    journal.say(f"  {step.name}: {'done' if made else 'nothing to do'} ({took()})")
    return made


def rehearse(groups: Iterable[Group], setup: Setup, say: Callable[[str], None]) -> int:
    """Say what would be changed, and change nothing."""
    count = 0
    for step in (step for group in groups for step in group):
        for change in step.plan(setup):
            say(f"  {step.name}: would {change.what}")
            count += 1
    return count
