"""Two servers on loopback, in a process of their own: the Git server that both sides fetch from, and a package index
that both sides install from, so that no network is measured.

`python -m bench.servers <git root> <wheels>` prints one line of JSON with their ports, then serves until its standard
input ends.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import re
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

from tests.support.git_server import GitServer

from bench.children import Failed


def collect_wheels(requirements: Path, into: Path) -> Path:
    """Have the wheels of a lock, downloaded once by pip with the machine's own settings; returns their folder."""
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = into / f"wheels-{digest}"
    if (folder / ".whole").exists():
        return folder
    words: tuple[str, ...] = (
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
    )
    words += ("--requirement", str(requirements), "--dest", str(folder))
    done = subprocess.run((sys.executable, *words), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"The packages of the sample app could not be downloaded:\n{done.stderr[-2000:]}")
    for wheel in folder.glob("*.whl"):
        _lay_metadata_beside(wheel)
    (folder / ".whole").touch()
    return folder


def _lay_metadata_beside(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        wheel.with_name(f"{wheel.name}.metadata").write_bytes(archive.read(name))


class PackageIndex(http.server.SimpleHTTPRequestHandler):
    """A simple index (PEP 503, with PEP 658 metadata) over a folder of wheels."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        found = re.fullmatch(r"/simple/([a-z0-9-]+)/", self.path)
        if found is None:
            return super().do_GET()
        wheels = sorted(Path(self.directory).glob("*.whl"))
        body = "".join(self._link(wheel) for wheel in wheels if _is(wheel, found[1]))
        if not body:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
        return None

    @staticmethod
    @functools.cache
    def _link(wheel: Path) -> str:
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        known = hashlib.sha256(wheel.with_name(f"{wheel.name}.metadata").read_bytes()).hexdigest()
        return f'<a href="/{wheel.name}#sha256={digest}" data-core-metadata="sha256={known}">{wheel.name}</a>\n'


def _is(wheel: Path, name: str) -> bool:
    return re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower() == name


def main() -> None:
    git_root, wheels = Path(sys.argv[1]), sys.argv[2]
    handler = functools.partial(PackageIndex, directory=wheels)
    index = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=index.serve_forever, daemon=True).start()
    with GitServer(git_root) as server:
        said = {"git_port": server.port, "ca_pem": server.ca_pem, "index_port": index.server_address[1]}
        print(json.dumps(said), flush=True)
        sys.stdin.read()
        server.requests.clear()
    index.shutdown()


if __name__ == "__main__":
    main()
