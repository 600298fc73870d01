"""How asking an authority went, kept on disk: who failed waits, longer each time, and well below what authorities allow
(five failed checks an hour for an account and a name, says Let's Encrypt)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from webops_host import codec, files
from webops_host.errors import CertificateRefused

FIRST_WAIT, LONGEST_WAIT = 180.0, 86_400.0
LIMITED_WAIT = 3_600.0
HOUR, MOST_AN_HOUR = 3_600.0, 4


@dataclass(frozen=True, slots=True)
class Attempts:
    """Failures in a row, when the last ones were, and when it may be tried again."""

    failures: int = 0
    recent: tuple[float, ...] = ()
    last_error: str = ""
    next_try: float = 0.0

    def after(self, error: CertificateRefused, now: float) -> Attempts:
        """With one more failure. One of the authority itself counts for the wait, and not as a failed check."""
        failures = self.failures + 1
        wait = min(FIRST_WAIT * 2 ** min(failures - 1, 20), LONGEST_WAIT)
        recent = tuple(moment for moment in (*self.recent, now) if moment > now - HOUR)
        next_try = now + wait
        if len(recent) >= MOST_AN_HOUR:
            next_try = max(next_try, recent[-MOST_AN_HOUR] + HOUR)
        if error.facts.get("reason") == "rate_limited":
            next_try = max(next_try, now + LIMITED_WAIT, _until(error))
        return Attempts(failures, recent, error.message, next_try)

    def check(self, now: float) -> None:
        """Raises CertificateRefused while it is too early."""
        if now < self.next_try:
            seconds = int(self.next_try - now) + 1
            raise CertificateRefused(
                f"The last attempt failed: {self.last_error}",
                hint=f"To stay below the authority's limits, the next one may begin in {_shown(seconds)}.",
                facts={"reason": "wait", "seconds": seconds},
            )


class AttemptsBook:
    """A file for each name in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> Attempts:
        try:
            return codec.load(Attempts, json.loads(self._file(name).read_bytes()))
        except FileNotFoundError:
            return Attempts()

    def write(self, name: str, attempts: Attempts) -> None:
        files.write_whole(self._file(name), json.dumps(codec.dump(attempts)).encode())

    def forget(self, name: str) -> None:
        self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def _until(error: CertificateRefused) -> float:
    """The moment that the authority named."""
    text = str(error.facts.get("until", "")).replace("T", " ")
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def _shown(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} minutes"
