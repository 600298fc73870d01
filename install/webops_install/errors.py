"""What can go wrong while a server is set up: a sentence, what to do next, and what a program printed."""

from __future__ import annotations


class SetupError(Exception):
    """`output` is the end of what the program printed that failed."""

    def __init__(self, message: str, *, hint: str = "", command: str = "", output: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.command = command
        self.output = output
