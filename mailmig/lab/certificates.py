"""Certificates of the simulated organisation: one authority, one certificate per server.

    authority = Authority()
    authority.write(folder / "ca.pem")                      # what clients are told to trust
    context = authority.certificate("ex1.town.example", "127.0.1.1").context()

Keys are made when they are asked for and live in memory only; a certificate can be of any
age, so that expired ones and those of tomorrow can be shown.
"""

import ssl
from datetime import datetime
from pathlib import Path

import trustme


class Certificate:
    """One certificate with its key, for one server. `names` are host names and addresses."""

    def __init__(self, names: tuple[str, ...], leaf: trustme.LeafCert) -> None:
        self.names = names
        self._leaf = leaf

    def context(self) -> ssl.SSLContext:
        """A server's side of TLS that shows this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._leaf.configure_cert(context)
        return context

    @property
    def pem(self) -> bytes:
        """The certificate alone, without its key."""
        return b"".join(blob.bytes() for blob in self._leaf.cert_chain_pems)


class Authority:
    """The authority that signs the servers' certificates."""

    def __init__(self, name: str = "mailmig lab") -> None:
        self._authority = trustme.CA(
            organization_name=name, organization_unit_name="simulated organisation"
        )

    @property
    def pem(self) -> bytes:
        return self._authority.cert_pem.bytes()

    def write(self, file: Path) -> Path:
        """Puts the authority's certificate into a file and names it again."""
        file.write_bytes(self.pem)
        return file

    def certificate(
        self, *names: str, since: datetime | None = None, until: datetime | None = None
    ) -> Certificate:
        """A new certificate for these names; `since` and `until` are aware moments."""
        leaf = self._authority.issue_cert(*names, not_before=since, not_after=until)
        return Certificate(names, leaf)
