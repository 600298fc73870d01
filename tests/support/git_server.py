"""A real Git server over HTTPS on a loopback port, for tests: `git http-backend` behind a certificate of its own.

    with GitServer(tmp_path) as server:
        repo = server.repository("team/site", {"index.html": "hello"})
        repo.commit({"index.html": "hello again", "old.html": None})
        server.url("team/site"), server.git_host

It can ask for a token, redirect, hang, trickle and answer with any page, as hostile and broken servers do.
"""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import trustme

from webops_host.names import HostName
from webops_host.values import GitHost

GIT_ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "HOME": os.devnull,
}


@dataclass(frozen=True)
class Link:
    """A symbolic link in a commit."""

    target: str


@dataclass(frozen=True)
class Submodule:
    """A commit of another repository in a commit."""

    commit: str = "1" * 40


@dataclass(frozen=True)
class Executable:
    text: str


Content = str | bytes | Link | Submodule | Executable | None


def git(*words: str, cwd: Path | None = None, stdin: bytes = b"") -> str:
    """Run git with no configuration but its own; returns what it printed."""
    done = subprocess.run(("git", *words), cwd=cwd, input=stdin, env=GIT_ENVIRONMENT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


@dataclass
class Repository:
    """A bare repository on the server."""

    path: Path
    branch: str = "main"
    commits: int = 0

    def commit(self, files: Mapping[str, Content], message: str = "Change", *, branch: str = "") -> str:
        """Add a commit that sets, or with None deletes, these files; returns its id."""
        ref = f"refs/heads/{branch or self.branch}"
        self.commits += 1
        text = message.encode()
        stream = b"commit %s\nmark :1\ncommitter Ada <ada@example.com> %d +0000\ndata %d\n%s\n" % (
            ref.encode(),
            1_700_000_000 + 60 * self.commits,
            len(text),
            text,
        )
        if self.has(ref):
            stream += b"from %s^0\n" % ref.encode()
        for path, content in files.items():
            stream += _change(path, content)
        git("fast-import", "--quiet", "--force", cwd=self.path, stdin=stream)
        return self.resolve(ref)

    def plant(self, *entries: tuple[str, str]) -> None:
        """The branch is one commit of these (name, text) as they are, which git itself would not make: a text that
        begins with `->` is where a link leads, and a name that ends with `/` a folder with a file of that text."""
        lines = "".join(self._entry(name, text) for name, text in entries)
        commit = git("commit-tree", git("mktree", cwd=self.path, stdin=lines.encode()), "-m", "hostile", cwd=self.path)
        git("update-ref", f"refs/heads/{self.branch}", commit, cwd=self.path)

    def _entry(self, name: str, text: str) -> str:
        blob = git("hash-object", "-w", "--stdin", cwd=self.path, stdin=text.removeprefix("->").encode())
        if name.endswith("/"):
            tree = git("mktree", cwd=self.path, stdin=f"100644 blob {blob}\tinside\n".encode())
            return f"040000 tree {tree}\t{name.rstrip('/')}\n"
        return f"{120000 if text.startswith('->') else 100644} blob {blob}\t{name}\n"

    def has(self, ref: str) -> bool:
        return bool(git("for-each-ref", ref, cwd=self.path))

    def resolve(self, ref: str) -> str:
        return git("rev-parse", f"{ref}^{{commit}}", cwd=self.path)

    def make_branch(self, name: str, start: str = "") -> None:
        git("branch", name, start or self.branch, cwd=self.path)

    def tag(self, name: str, *, annotated: bool = False) -> None:
        git("tag", *(("-a", "-m", name) if annotated else ()), name, self.branch, cwd=self.path)


def _change(path: str, content: Content) -> bytes:
    name = b'"%s"' % path.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    if content is None:
        return b"D %s\n" % name
    mode = b"100644"
    if isinstance(content, Submodule):
        return b"M 160000 %s %s\n" % (content.commit.encode(), name)
    if isinstance(content, Link):
        mode, content = b"120000", content.target
    if isinstance(content, Executable):
        mode, content = b"100755", content.text
    body = content.encode() if isinstance(content, str) else content
    return b"M %s inline %s\ndata %d\n%s\n" % (mode, name, len(body), body)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    authorization: str


@dataclass
class GitServer:
    """Serves the bare repositories below `root`. The switches may be changed while it runs.

    `token`: demand this basic credential, as (user name, token). `redirect_to`: answer everything with a redirect to
    this address, the path appended. `hang`: accept and never answer. `trickle`: send one byte a second. `page`: answer
    everything with this status and body. `only_git_suffix`: redirect a repository's name to the one with `.git`.
    `name` and `address`, and an `authority` for the certificate, make it one that other machines can reach.
    """

    root: Path
    name: str = "localhost"
    address: str = "127.0.0.1"
    wanted_port: int = 0
    authority: trustme.CA | None = None
    token: tuple[str, str] | None = None
    redirect_to: str = ""
    hang: bool = False
    trickle: bool = False
    page: tuple[int, str] | None = None
    only_git_suffix: bool = False
    requests: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        authority = self.authority or trustme.CA()
        certificate = authority.issue_cert(self.name, self.address)
        self.ca_pem = authority.cert_pem.bytes().decode()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self.context)
        self._listener = _Listener(self)
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.02,), name="git-server")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._listener.shutdown()
        self._thread.join()
        self._listener.hang_up()
        self._listener.server_close()

    @property
    def port(self) -> int:
        return int(self._listener.server_address[1])

    @property
    def git_host(self) -> GitHost:
        """This server as one that repositories may be fetched from, although its address is not public."""
        return GitHost(HostName(self.name), self.port, private=True, ca_pem=self.ca_pem)

    def url(self, name: str) -> str:
        return f"https://{self.name}:{self.port}/{name}"

    def repository(self, name: str, files: Mapping[str, Content] | None = None, *, branch: str = "main") -> Repository:
        """A new repository, with a first commit when files are given."""
        path = self.root / f"{name}.git"
        path.mkdir(parents=True)
        git("init", "--quiet", "--bare", f"--initial-branch={branch}", cwd=path)
        git("config", "uploadpack.allowAnySHA1InWant", "true", cwd=path)  # as the large hosts do
        git("config", "uploadpack.allowFilter", "true", cwd=path)
        repository = Repository(path, branch)
        if files is not None:
            repository.commit(files, "First")
        return repository

    def adopt(self, name: str, bare: Path) -> None:
        """Serve a bare repository that lies elsewhere, read only."""
        path = self.root / f"{name}.git"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(bare, target_is_directory=True)


class _Listener(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def __init__(self, owner: GitServer) -> None:
        self.owner = owner
        self.open: set[socket.socket] = set()
        super().__init__((owner.address, owner.wanted_port), _Handler)

    def server_bind(self) -> None:
        """Bind, and ask no name server who this is."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.owner.name, self.server_address[1]

    def finish_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        try:
            secure = self.owner.context.wrap_socket(request, server_side=True)
        except OSError:
            return
        self.open.add(secure)
        try:
            _Handler(secure, client_address, self)
        except OSError:
            pass  # the client went away
        finally:
            self.open.discard(secure)
            secure.close()

    def hang_up(self) -> None:
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def _answer(self, body: bytes) -> None:
        owner = self.server.owner
        owner.requests.append(Request(self.command, self.path, self.headers.get("Authorization", "")))
        if owner.hang:
            owner.closing.wait(60)
            self.close_connection = True
        elif owner.redirect_to:
            self._plain(302, "", {"Location": owner.redirect_to + self.path})
        elif owner.page is not None:
            self._plain(*owner.page)
        elif owner.only_git_suffix and ".git/" not in self.path:
            self._plain(301, "", {"Location": owner.url(self.path.lstrip("/").replace("/info/", ".git/info/"))})
        elif not self._is_welcome():
            self._plain(401, "", {"WWW-Authenticate": 'Basic realm="git"'})
        else:
            self._backend(body)

    def _is_welcome(self) -> bool:
        token = self.server.owner.token
        return token is None or self.headers.get("Authorization", "") == _basic(*token)

    def _plain(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _backend(self, body: bytes) -> None:
        answer = subprocess.run(("git", "http-backend"), input=body, env=self._cgi(), capture_output=True, check=False)
        head, _, content = answer.stdout.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
        status = next((int(value.split()[0]) for key, value in fields if key == "Status"), 200)
        self.send_response(status)
        for key, value in fields:
            if key != "Status":
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.server.owner.trickle:
            for byte in _one_by_one(content, self.server.owner.closing):
                self.wfile.write(byte)
                self.wfile.flush()
        else:
            self.wfile.write(content)

    def _cgi(self) -> dict[str, str]:
        url = urlsplit(self.path)
        name, _, rest = url.path.lstrip("/").partition("/info/")
        rest = f"info/{rest}" if rest else ""
        if not rest:
            name, _, rest = name.rpartition("/")
        return GIT_ENVIRONMENT | {
            "GIT_PROJECT_ROOT": str(self.server.owner.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "PATH_INFO": f"/{name.removesuffix('.git')}.git/{rest}",
            "QUERY_STRING": url.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)


def _one_by_one(content: bytes, closing: threading.Event) -> Iterator[bytes]:
    for byte in content:
        yield bytes((byte,))
        if closing.wait(1.0):
            return


def _basic(username: str, token: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{token}".encode()).decode()
