"""A web app of a few lines on bare sockets, quick to start, that can be asked to behave in many ways."""

import os
import socket
import sys
import threading

SAYS = {word.partition("=")[0]: word.partition("=")[2] for word in sys.argv[1:]}
STATUS = SAYS.get("status", "200")


def answer(connection: socket.socket, body: bytes, *fields: str, status: str = STATUS) -> None:
    head = [f"HTTP/1.1 {status} Fine", f"Content-Length: {len(body)}", "Content-Type: text/plain", *fields]
    connection.sendall("\r\n".join((*head, "", "")).encode() + body)


def read_body(rest: bytes, head: bytes, connection: socket.socket) -> bytes:
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
        if line.startswith(b"transfer-encoding:"):
            while not rest.endswith(b"0\r\n\r\n"):
                rest += connection.recv(65536)
            return rest
    while len(rest) < length:
        rest += connection.recv(65536)
    return rest


def serve(connection: socket.socket) -> None:
    with connection:
        received = b""
        while b"\r\n\r\n" not in received:
            chunk = connection.recv(65536)
            if not chunk:
                return
            received += chunk
        head, _, rest = received.partition(b"\r\n\r\n")
        path = head.split(b" ")[1].decode()
        behaviour = BEHAVIOURS.get(path.partition("?")[0], echo)
        behaviour(connection, head, rest, path)


def echo(connection, head, rest, path):
    if "prints" in SAYS:
        print(head.decode(), flush=True)
    body = read_body(rest, head, connection)
    answer(connection, SAYS.get("says", "app").encode() + b"\n" + head + b"\n\n" + body)


def size(connection, head, rest, path):
    answer(connection, str(len(read_body(rest, head, connection))).encode())


def cookies(connection, head, rest, path):
    answer(connection, b"x", "Set-Cookie: webops_session=stolen; Path=/", "Set-Cookie: theirs=1", "X-Kept: yes")


def chunks(connection, head, rest, path):
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
    wait_for_permission(path)
    connection.sendall(b"3;x=y\r\ntwo\r\n0\r\n\r\n")


def endless(connection, head, rest, path):
    connection.sendall(b"HTTP/1.0 200 OK\n\nuntil the end")


def half(connection, head, rest, path):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


def silent(connection, head, rest, path):
    return


def nonsense(connection, head, rest, path):
    connection.sendall(b"220 mail.example.com ESMTP\r\n\r\n")


def hold(connection, head, rest, path):
    """Answers once the file named in the query is there; tells on standard output when the visitor leaves."""
    name = wait_for_permission(path, connection)
    answer(connection, f"{SAYS.get('says', 'app')} {name}".encode())


def wait_for_permission(path, connection=None):
    name = path.partition("?")[2]
    while name and not os.path.exists(name):
        if connection is not None:
            connection.settimeout(0.01)
            try:
                if connection.recv(1) == b"":
                    print("the visitor left", flush=True)
                    sys.exit(0)
            except TimeoutError:
                pass
            connection.settimeout(None)
    return os.path.basename(name)


def websocket(connection, head, rest, path):
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello ")
    while chunk := connection.recv(65536):
        connection.sendall(chunk.upper())


def moved(connection, head, rest, path):
    answer(connection, b"", f"Location: {SAYS['to']}", status="302")


def broken(connection, head, rest, path):
    answer(connection, b"oh-no", status="500")


def missing(connection, head, rest, path):
    answer(connection, b"", status="404")


BEHAVIOURS = {
    "/moved": moved, "/broken": broken, "/missing": missing,
    "/size": size, "/cookies": cookies, "/chunks": chunks, "/endless": endless, "/half": half, "/silent": silent,
    "/nonsense": nonsense, "/hold": hold, "/ws": websocket,
}  # fmt: skip


def main():
    print("starting", flush=True)
    if "exit" in SAYS:
        sys.exit(int(SAYS["exit"]))
    if "deaf" in SAYS:
        threading.Event().wait()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(os.environ["PORT"])))
    listener.listen(128)
    print("listening", flush=True)
    if "mute" in SAYS:
        threading.Event().wait()
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


main()
