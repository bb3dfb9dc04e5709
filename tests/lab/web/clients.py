"""Strangers' clients for the lab's web servers: they use names and connect where it listens."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import exchangelib
import requests
from exchangelib.protocol import BaseProtocol, CachingProtocol
from exchangelib.version import Build, Version
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.connection import create_connection

from mailmig.lab.population import Mailbox
from mailmig.lab.running.whole import Lab
from mailmig.model.directory import Kind

PATIENCE_S = 15


class Adapter(HTTPAdapter):
    """Connects to the addresses of a lab; names and certificates stay those of the URL."""

    authority = ""
    where: dict[str, tuple[str, int]] = {}  # noqa: RUF012  set for the length of a test

    def init_poolmanager(self, *words: Any, **options: Any) -> None:
        super().init_poolmanager(*words, **options)
        where = self.where

        class Plain(HTTPConnection):
            def _new_conn(self) -> Any:
                return _connected(where[self._dns_host], self)

        class Secure(HTTPSConnection):
            def _new_conn(self) -> Any:
                return _connected(where[self._dns_host], self)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        super().cert_verify(conn, url, self.authority, cert)


def _connected(where: tuple[str, int], by: HTTPConnection) -> Any:
    """With urllib3's own options: without TCP_NODELAY each request waits 40 ms for an ACK."""
    return create_connection(where, by.timeout, socket_options=by.socket_options)


def leading(lab: Lab, **names: str) -> type[Adapter]:
    """An adapter class for a lab; `names` lead client names (_ for .) to short server names."""
    port = lab.layout.port(443)
    found = {one.name: (one.address, port) for one in lab.layout if 443 in one.services}
    short = {name.partition(".")[0]: where for name, where in found.items()}
    for name, server in names.items():
        found[name.replace("_", ".")] = short[server]
    settings = {"where": found, "authority": str(lab.folder / "ca.pem")}
    return type("LabAdapter", (Adapter,), settings)


@contextmanager
def session(lab: Lab, **names: str) -> Iterator[requests.Session]:
    """Plain requests."""
    with requests.Session() as found:
        found.trust_env = False
        found.mount("https://", leading(lab, **names)())
        yield found


@contextmanager
def exchange(lab: Lab, **names: str) -> Iterator[None]:
    """exchangelib talks to the lab; what it remembers is forgotten before and after."""
    before = BaseProtocol.HTTP_ADAPTER_CLS, BaseProtocol.TIMEOUT
    CachingProtocol.clear_cache()
    BaseProtocol.HTTP_ADAPTER_CLS = leading(lab, **names)
    BaseProtocol.TIMEOUT = PATIENCE_S
    try:
        yield
    finally:
        CachingProtocol.clear_cache()
        BaseProtocol.HTTP_ADAPTER_CLS, BaseProtocol.TIMEOUT = before


def password(mailbox: Mailbox) -> str:
    return f"lab-only-{mailbox.account}"


def account(
    lab: Lab,
    caller: Mailbox,
    *,
    address: str = "",
    server: str = "ls-ex16",
    auth_type: str | None = exchangelib.NTLM,
    guess: bool = False,
    secret: str = "",
) -> exchangelib.Account:
    """Somebody's account, or another mailbox by somebody, through one server."""
    config = exchangelib.Configuration(
        server=f"{server}.{lab.organisation.domain}",
        credentials=exchangelib.Credentials(
            rf"{lab.organisation.netbios}\{caller.account}", secret or password(caller)
        ),
        auth_type=auth_type,
        version=None if guess else Version(Build(15, 1, 2507, 6)),
        max_connections=1,
    )
    return exchangelib.Account(
        address or caller.address, config=config, autodiscover=False,
        access_type=exchangelib.DELEGATE,
    )  # fmt: skip


def staff(lab: Lab) -> list[Mailbox]:
    """People who use their mailboxes."""
    return [one for one in lab.organisation.present(Kind.USER) if one.last_logon is not None]
