"""More visitors at once than one app may have, of an app that does not answer, and one of another site beside them."""

from __future__ import annotations

import json

from tests.server.installed import PANEL
from tests.server.lab.server import Server

from webops_host.linux.nginx_parts import AT_ONCE

MORE = 76
CROWD = f"""
import json, resource, select, socket, ssl, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
context = ssl._create_unverified_context()
context.maximum_version = ssl.TLSVersion.TLSv1_2  # nothing but answers is there to read after the handshake
def ask(host):
    one = context.wrap_socket(socket.create_connection(("127.0.0.1", 443)), server_hostname=host)
    one.sendall(f"GET /x HTTP/1.1\\r\\nHost: {{host}}\\r\\n\\r\\n".encode())
    return one
crowd = [ask(sys.argv[1]) for _ in range({AT_ONCE} + {MORE})]
other = ask("{PANEL}").recv(4096)
poll = select.poll()
for one in crowd:
    poll.register(one, select.POLLIN)
heard = {{one.fileno(): one for one in crowd}}
said = []
while ready := poll.poll(5000 if len(said) < {MORE} else 500):
    for number, _ in ready:
        poll.unregister(number)
        said.append(heard[number].recv(4096))
print(json.dumps([len(said), sorted({{text[:12].decode() for text in said}}), other[:10].decode()]))
"""


def assert_crowd_is_bounded(server: Server, host: str) -> None:
    """As many as may wait do; the others are told so at once, and who comes for the panel is served."""
    refused, said, other = json.loads(server.run(("python3", "-c", CROWD, host), timeout=120).stdout)
    assert (refused, said) == (MORE, ["HTTP/1.1 503"])
    assert other.startswith("HTTP/1.1 ")
