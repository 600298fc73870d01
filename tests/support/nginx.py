"""A real nginx with the platform's configuration, in a folder of the test's own and on loopback ports."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trustme
from tests.support.machine import free_ports, until
from tests.support.raw import Heard, whole

from webops_host.linux import nginx_control, nginx_main, nginx_site
from webops_host.linux.layout import ServerLayout
from webops_host.linux.nginx_parts import Flavour, Ground, TlsFiles
from webops_host.linux.nginx_site import Front
from webops_host.linux.platform import Platform
from webops_host.linux.site_rules import Rules
from webops_host.names import DeploymentName, HostName
from webops_host.values import Site

PROGRAM = shutil.which("nginx") or "/usr/sbin/nginx"
PLATFORM = Platform(HostName("apps.test"), HostName("panel.test"))
MAIN = """
user root;
worker_processes 1;
pid {root}/nginx.pid;
error_log {root}/error.log warn;
events {{ worker_connections 256; }}
http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    include {root}/conf.d/*.conf;
}}
"""


def version() -> tuple[int, ...]:
    said = subprocess.run([PROGRAM, "-v"], capture_output=True, text=True, check=True).stderr
    return tuple(int(part) for part in said.split("/")[1].split()[0].split("."))


def is_here() -> bool:
    return Path(PROGRAM).exists()


@dataclass
class Nginx:
    """The program, its folders, and what it is asked."""

    root: Path
    ground: Ground
    ca: trustme.CA
    process: subprocess.Popen[bytes] | None = None
    tls: TlsFiles = field(init=False)

    def __post_init__(self) -> None:
        for folder in ("conf.d", "etc/nginx/sites", "etc/nginx/walls", "run", "var/acme", "srv"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "nginx.conf").write_text(MAIN.format(root=self.root))
        self.tls = self.certificate("platform", "*.apps.test", "panel.test")
        self.write_main()

    def certificate(self, file: str, *names: str) -> TlsFiles:
        made = self.ca.issue_cert(*names, key_type=trustme.KeyType.ECDSA)
        chain, key = self.root / f"{file}.pem", self.root / f"{file}.key"
        chain.write_bytes(b"".join(part.bytes() for part in made.cert_chain_pems))
        key.write_bytes(made.private_key_pem.bytes())
        return TlsFiles(chain, key)

    def write_main(self) -> None:
        (self.root / "conf.d/webops.conf").write_text(nginx_main.text(PLATFORM, self.tls, self.ground))

    def front(
        self, name: DeploymentName, site: Site | None, rules: Rules | None = None, *, keeps: bool = False
    ) -> Front:
        own = HostName(f"{name}.apps.test")
        hosts = [own, *(site.domains if site else ())]
        return Front(name, own, {host: self.tls for host in hosts}, site, rules or Rules(), keeps=keeps)

    def write(self, front: Front) -> None:
        self.layout.nginx_site(front.name).write_text(nginx_site.text(front, self.ground))

    @property
    def layout(self) -> ServerLayout:
        return self.ground.layout

    def test(self) -> None:
        done = subprocess.run(self._words("-t", "-q"), capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")

    def start(self) -> None:
        self.process = subprocess.Popen(self._words("-g", "daemon off;"), stdout=subprocess.DEVNULL)
        until(lambda: self._answers() or self.process.poll() is not None)
        assert self.process.poll() is None, (self.root / "error.log").read_text()

    def reload(self) -> None:
        before = self.workers()
        subprocess.run(self._words("-s", "reload"), check=True, capture_output=True)
        until(lambda: self.workers() and not self.workers() & before)

    def workers(self) -> frozenset[int]:
        return nginx_control.workers(nginx_control.master(self.root / "nginx.pid"))

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def _words(self, *words: str) -> list[str]:
        return [PROGRAM, "-p", str(self.root), "-c", str(self.root / "nginx.conf"), *words]

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.ground.flavour.https), timeout=1):
            return True
        return False

    # --- asking ---

    @contextmanager
    def open(self, host: str, *, secure: bool = True, alpn: str = "http/1.1") -> Iterator[socket.socket]:
        port = self.ground.flavour.https if secure else self.ground.flavour.http
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            if not secure:
                yield plain
                return
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.set_alpn_protocols([alpn])
            self.ca.configure_trust(context)
            with context.wrap_socket(plain, server_hostname=host) as wrapped:
                yield wrapped

    def ask(
        self, host: str, target: str = "/", *fields: str, method: str = "GET", body: bytes = b"", secure: bool = True
    ) -> Heard:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields, "Connection: close"]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        with self.open(host, secure=secure) as opened:
            opened.sendall("\r\n".join((*lines, "", "")).encode("latin-1") + body)
            return whole(opened, method)


@contextmanager
def running() -> Iterator[Nginx]:
    """Started, without a site."""
    with prepared() as nginx:
        nginx.start()
        try:
            yield nginx
        finally:
            nginx.stop()


@contextmanager
def prepared() -> Iterator[Nginx]:
    """Only its folders. The path is short: it holds Unix sockets."""
    with tempfile.TemporaryDirectory(prefix="wn-", dir="/tmp") as folder:
        root = Path(folder)
        layout = ServerLayout(
            root / "srv", root / "etc", root / "var/hostd", root / "run", root / "units", root / "var"
        )
        port = free_ports()
        known = frozenset(Path("/etc/nginx/mime.types").read_text().replace(";", " ").split())
        flavour = Flavour(version(), False, ("127.0.0.1:",), port, port + 1, root / "access.log", known)
        yield Nginx(root, Ground(layout, flavour), trustme.CA())


Answer = Callable[[socket.socket, bytes, bytes], None]


class App:
    """A program behind a Unix socket that answers each connection with what a test says."""

    def __init__(self, path: Path, answer: Answer) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._answer = answer
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            received = b""
            while b"\r\n\r\n" not in received:
                piece = connection.recv(65536)
                if not piece:
                    return
                received += piece
            head, _, rest = received.partition(b"\r\n\r\n")
            self._answer(connection, head, rest)
