"""The only shell in the code base: it reads the line that a project's owner wrote, and nothing else.

A Procfile or a build hook is a shell line by custom (`a && b`, `$PORT`), so it is handed to a shell as it is. It runs
only inside the deployment's own sandbox, as that deployment's user, with that deployment's variables. No text of the
platform is ever joined to it, so there is nothing to quote.
"""

from __future__ import annotations

from webops_host.values import ProjectLine


def command_line(line: ProjectLine) -> tuple[str, ...]:
    """The words that run the owner's line. The line is one word: whatever is in it stays data for us."""
    return ("/bin/sh", "-c", line.line)
