"""The embedded host as a daemon: `python -m webops_host.embedded --root DIR`."""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from webops_host import files, usage
from webops_host.daemon.server import Server
from webops_host.embedded.host import EmbeddedHost
from webops_host.embedded.sites import PANEL_COOKIES
from webops_host.errors import HostError
from webops_host.layout import Layout

log = logging.getLogger("webops.host")


class AlreadyRunning(HostError):
    code = "already_running"


def main(words: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT. 0 after a clean end, 1 when it could not begin."""
    options = _options(words)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    leave = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leave.set())
    usage.restrain_ourselves()
    layout = Layout(options.root.resolve())
    try:
        with _Lock(layout.host / "host.pid"):
            _serve(layout, options, leave)
    except HostError as error:
        print(f"{error.message} {error.hint}".strip(), file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _options(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m webops_host.embedded", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the folder everything is kept in")
    parser.add_argument("--port-base", type=int, default=8100, help="the first loopback port for sites")
    parser.add_argument(
        "--panel-cookie", action="append", help="a cookie of the panel that no site may see; may be given again"
    )
    options = parser.parse_args(words)
    if not 1024 <= options.port_base <= 50000:
        parser.error("--port-base is a number from 1024 to 50000")
    return options


def _serve(layout: Layout, options: argparse.Namespace, leave: threading.Event) -> None:
    cookies = options.panel_cookie or PANEL_COOKIES
    host = EmbeddedHost(
        layout,
        port_base=options.port_base,
        panel_cookies=cookies,
        postgres_url=os.environ.get("WEBOPS_POSTGRES_URL", ""),
    )
    server = Server(host, layout.daemon_socket, host.fences)
    try:
        host.restore()
        server.start()
        log.info("ready at %s", layout.daemon_socket)
        leave.wait()
    finally:
        log.info("leaving")
        server.stop()
        host.close()


class _Lock:
    """One host per root: held while the file is locked, which a killed process can not forget to undo."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        files.private_folder(self._path.parent)
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._handle, 20).decode(errors="replace").strip()
            os.close(self._handle)
            raise AlreadyRunning(
                f"A host already runs on {self._path.parent.parent} (process {holder or 'unknown'}).",
                hint="Use that one, or stop it first.",
            ) from None
        os.ftruncate(self._handle, 0)
        os.write(self._handle, f"{os.getpid()}\n".encode())

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)


if __name__ == "__main__":
    sys.exit(main())
