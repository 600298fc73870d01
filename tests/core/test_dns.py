"""Questions to a name server and its answers, over real sockets, and answers that somebody made to hurt."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core import dns
from apps.core.dns import Kind, Resolver, Unanswered

Answer = Callable[[bytes], bytes]


def record(kind: int, data: bytes, name: bytes = b"\xc0\x0c") -> bytes:
    return name + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


def reply(asked: bytes, *records: bytes, flags: int = 0x8180) -> bytes:
    number = struct.unpack_from("!H", asked)[0]
    return struct.pack("!6H", number, flags, 1, len(records), 0, 0) + asked[12:] + b"".join(records)


def encoded(name: str) -> bytes:
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


@contextmanager
def name_server(answer: Answer, whole: Answer | None = None) -> Iterator[int]:
    """Answers one question over UDP and, where asked again, one over TCP at the same port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        udp.bind(("127.0.0.1", 0))
        port = udp.getsockname()[1]
        udp.settimeout(5)
        if whole is not None:
            tcp.bind(("127.0.0.1", port))
            tcp.listen()

        def serve() -> None:
            asked, who = udp.recvfrom(4096)
            udp.sendto(answer(asked), who)
            if whole is not None:
                link, _ = tcp.accept()
                with link:
                    size = struct.unpack("!H", link.recv(2))[0]
                    made = whole(link.recv(size))
                    link.sendall(struct.pack("!H", len(made)) + made)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield port
        finally:
            thread.join()


def ask(answer: Answer, kind: Kind, whole: Answer | None = None) -> tuple[str, ...]:
    with name_server(answer, whole) as port:
        return Resolver(("127.0.0.1",), port)("www.example.com", kind)


def test_addresses_at_the_end_of_a_chain_count():
    def answer(asked: bytes) -> bytes:
        alias = record(5, encoded("shop.example.net"))
        return reply(asked, alias, record(1, bytes([203, 0, 113, 9])), record(1, bytes([203, 0, 113, 8])))

    assert ask(answer, Kind.A) == ("203.0.113.8", "203.0.113.9")
    assert ask(answer, Kind.CNAME) == ("shop.example.net",)


def test_addresses_of_the_other_kind():
    data = socket.inet_pton(socket.AF_INET6, "2001:db8::10")
    assert ask(lambda asked: reply(asked, record(28, data)), Kind.AAAA) == ("2001:db8::10",)


def test_a_name_that_points_back_into_the_message():
    alias = b"\x04shop" + b"\xc0\x10"  # continues after “www.”
    assert ask(lambda asked: reply(asked, record(5, alias)), Kind.CNAME) == ("shop.example.com",)


def test_text_in_several_pieces_is_one_text():
    assert ask(lambda asked: reply(asked, record(16, b"\x03one\x04 two")), Kind.TXT) == ("one two",)


@pytest.mark.parametrize("flags", [0x8180, 0x8183])
def test_nothing_there_is_an_answer(flags):
    assert ask(lambda asked: reply(asked, flags=flags), Kind.A) == ()


def test_what_is_cut_short_is_asked_for_again_as_a_whole():
    text = b"\xff" + b"x" * 255
    whole = lambda asked: reply(asked, record(16, text * 4))  # noqa: E731
    assert ask(lambda asked: reply(asked, flags=0x8380), Kind.TXT, whole) == ("x" * 1020,)


@pytest.mark.parametrize(
    "answer",
    [
        lambda asked: reply(b"\0\0" + asked[2:]) if asked[:2] != b"\0\0" else reply(b"\1\1" + asked[2:]),
        lambda asked: reply(asked, flags=0x8182),
        lambda asked: reply(asked, flags=0x0180),
        lambda asked: reply(asked, record(1, b"\1\2\3")),
        lambda asked: reply(asked, record(5, b"\xc0\x0c", name=b"\xc0\x21" + b"\xc0\x21")),
        lambda asked: reply(asked, record(16, b"\x09ab"))[:-1],
        lambda asked: b"",
        lambda asked: b"\0" * 11,
    ],
    ids=["of another question", "refused", "not an answer", "short address", "odd", "cut off", "empty", "tiny"],
)
def test_an_answer_that_can_not_be_used_is_none(answer):
    with pytest.raises(Unanswered):
        ask(answer, Kind.A)


def test_a_name_that_leads_in_circles_is_refused():
    message = struct.pack("!6H", 7, 0x8180, 0, 1, 0, 0) + b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + b"\1\2\3\4"
    with pytest.raises(ValueError, match="circles"):
        list(dns.answers(message, 7, Kind.A))


@given(st.binary(max_size=200), st.sampled_from(Kind))
def test_no_message_does_more_than_be_refused(rest, kind):
    message = struct.pack("!6H", 7, 0x8180, 1, 5, 0, 0) + rest
    try:
        found = list(dns.answers(message, 7, kind))
    except ValueError:
        return
    assert all(isinstance(value, str) for value in found)


def test_a_silent_server_is_not_waited_for_long_and_the_next_one_is_asked():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(Unanswered):
            Resolver(("127.0.0.1",), silent.getsockname()[1], patience=0.05)("example.com", Kind.A)
    with pytest.raises(Unanswered, match="no name server"):
        Resolver(())("example.com", Kind.A)


def test_addresses_are_read_plainly():
    assert dns.addresses([" 203.0.113.9", "", "nonsense", "2001:DB8::0010"]) == ("203.0.113.9", "2001:db8::10")
