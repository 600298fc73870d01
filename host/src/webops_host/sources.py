"""Repositories: a bare mirror for each deployment, filled over checked addresses, as this very user."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from webops_host import addresses, git, repository, trees
from webops_host.errors import DiskFull, FetchFailed
from webops_host.fetching import Fetch
from webops_host.layout import Layout
from webops_host.names import CommitId, DeploymentName
from webops_host.values import Console, Entry, FetchSpec, Revision

MAX_PATIENCE = 30  # seconds of almost nothing before a server counts as hanging


class LocalSources:
    """`resolver` gives a name's addresses; `ca_file` is the machine's own bundle where it is not the usual one."""

    def __init__(
        self,
        layout: Layout,
        *,
        resolver: addresses.Resolver = addresses.system_resolver,
        ca_file: str = os.environ.get("GIT_SSL_CAINFO", ""),
    ) -> None:
        self._layout = layout
        self._resolver = resolver
        self._ca_file = ca_file

    def fetch(self, name: DeploymentName, spec: FetchSpec, console: Console, release: int | None = None) -> Revision:
        """Bring the newest commit of the ref into the mirror. Fetching again moves only what is new. There is nothing
        to make ready for a release.

        Raises FetchFailed, AddressRefused, DiskFull, Cancelled, and BadValue for a repository of another server.
        """
        url, git_host = repository.parse(str(spec.url), (spec.git_host,))
        places = addresses.resolve(url.host, url.port, private=git_host.private, resolver=self._resolver)
        mirror = self._layout.mirror(name)
        try:
            mirror.parent.mkdir(parents=True, exist_ok=True)
            with self._authorities(git_host.ca_pem) as ca_file:
                patience = max(1, min(MAX_PATIENCE, int(spec.timeout / 4)))
                connection = git.Connection(url, places, ca_file, spec.credential, patience)
                return self._fetch(Fetch(mirror, connection, spec, console))
        except OSError as error:
            raise DiskFull("The mirror of the repository can not be written.", hint=str(error)) from error

    def listing(self, name: DeploymentName, commit: CommitId) -> tuple[Entry, ...]:
        """Every path of a fetched commit (at most 50,000; BadValue above). Raises NotFound."""
        return trees.listing(self._layout.mirror(name), commit)

    def read(self, name: DeploymentName, commit: CommitId, paths: Iterable[str]) -> Mapping[str, bytes]:
        """Contents of the regular files among `paths` (each at most 1 MiB, together 32 MiB); others are left out."""
        return trees.read(self._layout.mirror(name), commit, paths)

    def checkout(self, name: DeploymentName, release: int, commit: CommitId) -> None:
        """Lay the commit's tree out as the release's source. A half-made tree is made anew.

        Raises NotFound, BadValue for a path named `.git`, DiskFull.
        """
        trees.lay_out(self._layout.mirror(name), commit, self._layout.source(name, release))

    def _fetch(self, fetch: Fetch) -> Revision:
        """Some servers know a repository only by its name with `.git`, and redirect there or deny the other."""
        try:
            return fetch.run()
        except FetchFailed as error:
            if error.facts.get("reason") not in ("not_found", "other") or fetch.connection.url.path.endswith(".git"):
                raise
            try:
                return fetch.under_git_suffix().run()
            except FetchFailed:
                raise error from None

    @contextmanager
    def _authorities(self, pem: str) -> Iterator[Path | None]:
        """A file with the certificates to trust, ours alone; None for the machine's own."""
        if not pem:
            yield Path(self._ca_file) if self._ca_file else None
            return
        with tempfile.NamedTemporaryFile("w", suffix=".pem", prefix="webops-ca-") as file:  # made with mode 0600
            file.write(pem)
            file.flush()
            yield Path(file.name)
