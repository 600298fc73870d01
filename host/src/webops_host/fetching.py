"""The conversation with a Git server: bring one commit into a mirror with as few questions as possible.

A branch that is where it was costs one connection. The newest commit comes without its history: a release needs
nothing else, and a long history costs minutes on a slow line.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from webops_host import git, git_failures, runner
from webops_host.command import Command
from webops_host.errors import CommandFailed, CommandTimedOut, DiskFull, FetchFailed
from webops_host.names import CommitId, GitRef
from webops_host.sizes import size
from webops_host.values import Console, FetchSpec, Revision

LOOK_EVERY = 0.25  # seconds between looks at the mirror's size
MAX_PACKS = 50


@dataclass(slots=True)
class Fetch:
    """One fetch into one mirror. `connection` has been checked, and is for the repository of `spec`."""

    mirror: Path
    connection: git.Connection
    spec: FetchSpec
    console: Console
    _deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self._deadline = time.monotonic() + self.spec.timeout

    def run(self) -> Revision:
        """The newest commit of the wanted ref, now in the mirror. Raises FetchFailed, DiskFull, Cancelled."""
        if not (self.mirror / "HEAD").is_file():
            shutil.rmtree(self.mirror, ignore_errors=True)
            runner.run(git.init(self.mirror))
        elif (packs := _packs(self.mirror)) > MAX_PACKS or (
            packs > 5 and size(self.mirror) > self.spec.limit_mib << 19
        ):
            runner.run(git.repack(self.mirror), check=False)
        ref = self.spec.ref
        if ref is None or ref == "HEAD":
            return self._default()
        return self._commit(CommitId(ref)) if ref.is_commit else self._named(ref)

    def under_git_suffix(self) -> Fetch:
        """The same fetch, of the same repository under its name with `.git`."""
        url = replace(self.connection.url, path=f"{self.connection.url.path}.git")
        return Fetch(self.mirror, replace(self.connection, url=url), self.spec, self.console)

    def _default(self) -> Revision:
        known = self._remembered()
        if known:
            refspecs = (f"+HEAD:{git.FETCHED}", f"+{known}:{git.DEFAULT}")
            done = self._try(git.fetch(self.mirror, self.connection, refspecs, timeout=self._left()))
            if done and self._at(git.FETCHED) == self._at(git.DEFAULT):
                return self._revision(git.FETCHED, _short(known))
        branch, refs = self._advertised()
        if "HEAD" not in refs:
            raise git_failures.failure(git_failures.EMPTY, self.connection.url)
        if branch:
            runner.run(git.remember_default(self.mirror, branch))
        self._bring((f"+{branch or 'HEAD'}:{git.FETCHED}",))
        return self._revision(git.FETCHED, _short(branch) or "HEAD")

    def _named(self, ref: GitRef) -> Revision:
        """A branch before a tag of the same name."""
        refspecs = (f"+refs/heads/{ref}:{git.FETCHED}",)
        if not self._try(git.fetch(self.mirror, self.connection, refspecs, timeout=self._left())):
            tag = f"refs/tags/{ref}"
            branch, refs = self._advertised(tag)
            if tag not in refs:
                raise git_failures.no_such_ref(ref, _short(branch), self.connection.url)
            self._bring((f"+{tag}:{git.FETCHED}",))
        return self._revision(git.FETCHED, ref)

    def _commit(self, commit: CommitId) -> Revision:
        """From the mirror when it is there; else alone; else, where the server only gives refs, with all branches."""
        found = self._look_up(commit, commit)
        if found is not None:
            return found
        alone = (f"+{commit}:{git.FETCHED}",)
        if not self._try(git.fetch(self.mirror, self.connection, alone, timeout=self._left())):
            self._bring(("+refs/heads/*:refs/webops/all/*",), deep=True)
        found = self._look_up(commit, commit)
        if found is None:
            raise git_failures.no_such_ref(commit, "", self.connection.url)
        return found

    # --- one question each ---

    def _advertised(self, *refs: str) -> tuple[str, dict[str, str]]:
        """The default branch's full name, and the commits of HEAD and of those refs that exist."""
        result = self._ask(git.advertised(self.mirror, self.connection, refs, timeout=self._left()))
        branch, found = "", {}
        for line in result.output.splitlines():
            value, _, name = line.partition("\t")
            if name == "HEAD" and value.startswith("ref: refs/heads/"):
                branch = value.removeprefix("ref: ")
            elif len(value) == 40:
                found[name] = value
        if result.status != 0:
            raise self._explained(result.output)
        return branch, found

    def _try(self, command: Command) -> bool:
        """Fetch; False when the server has no such ref."""
        result = self._ask(command)
        if result.status == 0:
            return True
        if git_failures.MISSING_REF.search(result.output) or git_failures.REFUSED_COMMIT.search(result.output):
            return False
        raise self._explained(result.output)

    def _bring(self, refspecs: tuple[str, ...], *, deep: bool = False) -> None:
        command = git.fetch(self.mirror, self.connection, refspecs, timeout=self._left(), deep=deep)
        if not self._try(command):
            raise git_failures.no_such_ref(self.spec.ref or "HEAD", "", self.connection.url)

    def _ask(self, command: Command) -> runner.Result:
        quiet = Console(self._emit_progress, self.console.cancelled)
        try:
            result = runner.run(command, quiet, check=False, watch=self._size_watch())
            self._check_size()
            return result
        except CommandTimedOut:
            raise git_failures.too_slow(self.spec.timeout, self.connection.url) from None
        finally:
            _sweep(self.mirror)

    def _emit_progress(self, line: str) -> None:
        """Only git's own progress: what else a server says is not for showing."""
        if git_failures.PROGRESS.fullmatch(line.strip()):
            self.console.emit(line.strip())

    def _explained(self, output: str) -> FetchFailed | DiskFull:
        if "No space left on device" in output:
            return DiskFull("The disk is full.", hint="Remove old releases or deployments, or enlarge the disk.")
        return git_failures.explain(output, self.connection.url)

    # --- the mirror ---

    def _remembered(self) -> str:
        """The full name of the branch that was the default when we last asked, or nothing."""
        name = (self.mirror / "HEAD").read_text().strip().removeprefix("ref: ")
        return name if name.startswith("refs/heads/") and not name.endswith(git.UNKNOWN) else ""

    def _at(self, ref: str) -> str:
        """The commit of one of our own refs, which a fetch has just written; git keeps each in a file."""
        return (self.mirror / ref).read_text().strip()

    def _revision(self, revision: str, ref: str) -> Revision:
        found = self._look_up(revision, ref)
        if found is None:
            raise git_failures.no_such_ref(ref or "HEAD", "", self.connection.url)
        return found

    def _look_up(self, revision: str, ref: str) -> Revision | None:
        try:
            text = runner.run_binary(git.show(self.mirror, revision)).decode(errors="replace")
        except CommandFailed:
            return None
        commit, subject, author, seconds = text.rstrip("\n").split("\x00")
        return Revision(CommitId(commit), ref, subject[:200], author[:200], float(seconds))

    def _left(self) -> float:
        return max(0.1, self._deadline - time.monotonic())

    def _size_watch(self) -> Callable[[], None]:
        next_look = time.monotonic() + LOOK_EVERY

        def watch() -> None:
            nonlocal next_look
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + LOOK_EVERY
                self._check_size()

        return watch

    def _check_size(self) -> None:
        if size(self.mirror) > self.spec.limit_mib << 20:
            (self.mirror / "HEAD").unlink(missing_ok=True)  # begin anew the next time
            raise git_failures.too_large(self.spec.limit_mib, self.connection.url)


def _packs(mirror: Path) -> int:
    return sum(1 for _ in (mirror / "objects/pack").glob("*.pack"))


def _sweep(mirror: Path) -> None:
    """Remove what an ended git left: half packs and locks. Nobody else fetches into this mirror."""
    for pattern in ("objects/pack/tmp_*", "*.lock", "refs/webops/*.lock"):
        for path in mirror.glob(pattern):
            path.unlink(missing_ok=True)


def _short(ref: str) -> str:
    return ref.removeprefix("refs/heads/")
