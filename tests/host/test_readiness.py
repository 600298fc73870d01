"""Whether a candidate answers, as the root daemon asks it: over its socket alone."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from threading import Thread

from tests.support.machine import BLOG, QUIET

from webops_host import readiness
from webops_host.names import ProcessKind
from webops_host.programs import Door
from webops_host.values import HealthCheck, UnitRef, UnitState, UnitStatus

REF = UnitRef(BLOG, 1, ProcessKind("web"))
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Late:
    """A unit that runs, and listens when it has been looked at three times."""

    ran_out_of_memory = False

    def __init__(self, place: Path) -> None:
        self._place, self._looks = place, 0

    def status(self) -> UnitStatus:
        self._looks += 1
        if self._looks == 3:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(self._place))
            listener.listen()
            Thread(target=_answer, args=(listener,), daemon=True).start()
        return UnitStatus(REF, UnitState.RUNNING)


def _answer(listener: socket.socket) -> None:
    with listener, listener.accept()[0] as visitor:
        visitor.recv(1 << 14)
        visitor.sendall(ANSWER)


def test_a_socket_that_is_not_there_yet_is_waited_for_where_no_other_family_is_allowed(tmp_path, monkeypatch):
    """hostd may open sockets of Unix alone (RestrictAddressFamilies=)."""
    real = socket.socket

    def of_unix(family: int = socket.AF_INET, *words: int, **more: int) -> socket.socket:
        if family != socket.AF_UNIX:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, *words, **more)

    monkeypatch.setattr(readiness.socket, "socket", of_unix)
    place = tmp_path / "web.sock"
    found = readiness.wait(readiness.Candidate(REF, Door(place, 0), Late(place)), HealthCheck(), QUIET)
    assert (found.status, found.over) == (200, "socket")
