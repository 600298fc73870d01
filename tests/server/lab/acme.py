"""The certificate authority of the tests: Pebble, which Let's Encrypt makes for this, with a name server of its own.

It listens at this machine's address in the lab, so that servers reach it as `acme.test`.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2
import trustme
from tests.server.lab.places import SEARCH
from tests.support.waiting import until

NAME = "acme.test"
PORT, MANAGEMENT, NAMES, NAMES_MANAGEMENT = 14000, 15000, 8053, 8055
TOGETHER = ("setpriv", "--pdeathsig", "KILL", "--")  # they end with the session, whatever ends it


class Pebble:
    """`with Pebble(folder, lab.network.gateway, authority) as acme`: the authority vouches for Pebble's own address."""

    def __init__(self, folder: Path, address: str, authority: trustme.CA, *, lifetime: int = 0) -> None:
        self.folder, self.address, self.authority, self.lifetime = folder, address, authority, lifetime
        self.directory = f"https://{NAME}:{PORT}/dir"
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._start(
            "pebble-challtestsrv",
            *("-dns01", f"{self.address}:{NAMES}", "-management", f"{self.address}:{NAMES_MANAGEMENT}"),
            *("-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv4", "", "-defaultIPv6", ""),
        )
        self._start("pebble", "-config", str(self._configure()), "-dnsserver", f"{self.address}:{NAMES}")
        until(self._answers, "Pebble to answer")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def _configure(self) -> Path:
        certificate = self.authority.issue_cert(NAME, self.address)
        certificate.private_key_pem.write_to_path(self.folder / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(self.folder / "certificate.pem")
        settings: dict[str, object] = {
            "listenAddress": f"{self.address}:{PORT}",
            "managementListenAddress": f"{self.address}:{MANAGEMENT}",
            "certificate": str(self.folder / "certificate.pem"),
            "privateKey": str(self.folder / "key.pem"),
            "httpPort": 80,
            "tlsPort": 443,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
        }
        if self.lifetime:
            settings["certificateValidityPeriod"] = self.lifetime
        file = self.folder / "pebble.json"
        file.write_text(json.dumps({"pebble": settings}))
        return file

    def _start(self, *words: str) -> None:
        environment = {"PATH": SEARCH, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
        with (self.folder / f"{words[0]}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    (*TOGETHER, *words), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=os.sep
                )
            )

    def _answers(self) -> bool:
        try:
            return self._management("/roots/0").is_success and bool(self._names("/clear-a", host="nobody.test"))
        except httpx2.TransportError:
            return False

    @property
    def root(self) -> str:
        """The authority that signs what it issues; a new one each time it starts."""
        return self._management("/roots/0").text

    def _management(self, path: str) -> httpx2.Response:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.authority.cert_pem.bytes().decode())
        return httpx2.get(f"https://{self.address}:{MANAGEMENT}{path}", verify=context, trust_env=False)

    # What its name server says

    def _names(self, path: str, **content: object) -> bool:
        address = f"http://{self.address}:{NAMES_MANAGEMENT}{path}"
        return httpx2.post(address, json=content, trust_env=False).is_success

    def everything_at(self, address: str) -> None:
        """Answer this address for every name; with an empty one, for none."""
        assert self._names("/set-default-ipv4", ip=address)

    def points(self, name: str, *addresses: str) -> None:
        """Answer these addresses for one name. With none it is as if nothing had been said about it."""
        assert self._names("/clear-a", host=name)
        assert not addresses or self._names("/add-a", host=name, addresses=list(addresses))
