"""Sites of every kind in one real nginx, for the tests that look at what visitors get."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.support.machine import until, write
from tests.support.nginx import App, Nginx, running

from webops_host.linux.site_rules import parse
from webops_host.names import DeploymentName, ProcessKind
from webops_host.site_options import SiteOptions
from webops_host.values import Area, Mount, Site, UnitRef

PAGES, RULED, SINGLE, SHOP, DOWN = map(DeploymentName, ("pages", "ruled", "single", "shop", "down"))
PAGE, SHOP_HOST = "pages.apps.test", "shop.apps.test"
MOUNTS = (Mount("/static/", Area.STATIC), Mount("/media/", Area.MEDIA))
RULES = parse(
    b"/old /new\n/news/:year/* /blog/:year/:splat\n/go/* /:splat 302!\n/about /never\n/letters.txt /forced 301!\n"
    b"/app/* /app/index.html 200\n/q /r?x=1\n/%C3%BC/* /u/:splat\n/lost/* /lost.html 404\n/out https://example.org/a#b",
    b"/*\n  X-All: yes\n/about\n  X-About: one\n  X-About: two\n/*.txt\n  X-All: text\n  Cache-Control: max-age=5\n",
)  # fmt: skip


def answer(connection, head, rest):
    """Echo, or behave as the path says."""
    path = head.split(b" ")[1].decode()
    if path.startswith("/slow"):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: one\n\n")
        until(lambda: os.path.exists(path.partition("?")[2]))
        return connection.sendall(b"data: two\n\n")
    if path == "/ws":
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello "
        )
        while piece := connection.recv(1000):
            connection.sendall(piece.upper())
        return None
    own = {
        "/hsts": b"Strict-Transport-Security: max-age=1\r\n",
        "/down": b"X: y\r\n",
        "/streamed": b"X-Accel-Buffering: no\r\n",
    }
    status = b"503 Busy" if path == "/down" else b"200 OK"
    length = int(dict(line.lower().split(b": ") for line in head.split(b"\r\n")[1:]).get(b"content-length", b"0"))
    while len(rest) < length:
        rest += connection.recv(65536)
    body = head + b"\n\n" + str(len(rest)).encode()
    connection.sendall(b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, own.get(path, b""), len(body), body))
    return None


@contextmanager
def standing(files: Mapping[str, str]) -> Iterator[Nginx]:
    """Started, with a site of every kind made of these files."""
    with running() as started:
        for name in (PAGES, RULED, SINGLE, SHOP):
            lay(started, name, files)
        shop = UnitRef(SHOP, 1, ProcessKind("web"))
        app = App(started.layout.socket(shop), answer)
        started.layout.live(SHOP).symlink_to(started.layout.socket(shop))
        started.write(started.front(PAGES, Site(PAGES, 1)))
        started.write(started.front(RULED, Site(RULED, 1), RULES))
        started.write(started.front(SINGLE, Site(SINGLE, 1, fallback=True)))
        started.write(started.front(SHOP, Site(SHOP, 1, shop, MOUNTS)))
        started.write(started.front(DOWN, Site(DOWN, 1, UnitRef(DOWN, 1, ProcessKind("web")))))
        apply(started)
        yield started
        app.close()


def lay(nginx: Nginx, name: DeploymentName, files: Mapping[str, str]) -> None:
    write(nginx.layout.public(name, 1), files)
    write(nginx.layout.static(name, 1), {"app.css": "a{}", "app.0123abcd.css": "b{}", ".hidden": "no"})
    write(nginx.layout.media(name), {"cat.html": "<b>cat</b>"})
    release = nginx.layout.release(name, 1)
    (release / "secret").write_text("secret")
    for folder in ("public", "static"):
        (release / folder / "link.txt").symlink_to(release / "secret")
        (release / folder / "root").symlink_to("/")
    (nginx.layout.media(name) / "link.txt").symlink_to(release / "secret")
    (release / "public/inside.txt").symlink_to("letters.txt")
    os.mkfifo(release / "public/pipe")
    nginx.layout.current(name).symlink_to("releases/1")


def apply(nginx: Nginx) -> None:
    """Test, reload, and wait until nothing of the old configuration answers."""
    nginx.test()
    nginx.reload()


def shown(nginx: Nginx, label: str, options: SiteOptions, *, static: bool = False) -> str:
    """A site of its own with these options, live; its host."""
    name = DeploymentName(label)
    lay(nginx, name, {"index.html": "<h1>home</h1>"})
    nginx.layout.live(name).symlink_to(nginx.layout.socket(UnitRef(SHOP, 1, ProcessKind("web"))))
    unit = None if static else UnitRef(name, 1, ProcessKind("web"))
    nginx.write(nginx.front(name, Site(name, 1, unit, () if static else MOUNTS, options=options)))
    if options.wall:
        wall = nginx.layout.settings / "nginx/walls" / name
        wall.write_text("".join(f"{entry.visitor}:{entry.password}\n" for entry in options.wall))
    apply(nginx)
    return f"{name}.apps.test"
