"""The certificates in the store of each Exchange server, as Get-ExchangeCertificate lists them.

Every server begins with what Setup leaves there: its own self-signed certificate, that of the
web management service, and the organisation's one for server-to-server authorisation (OAuth),
which is the same everywhere. The certificate that its web server shows is put in by whoever
serves it. Certificates are DER; made when they are first asked for.
"""

import hashlib
import ssl
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mailmig.lab.organisation import Organisation, guid
from mailmig.model.organisation import Server

AUTH_SUBJECT: Final = "Microsoft Exchange Server Auth Certificate"
_YEARS: Final = timedelta(days=5 * 365)
_KEY_BITS: Final = 2048


@dataclass(frozen=True, slots=True)
class Stored:
    """One certificate; `services` as admins write them: "IIS, SMTP", or "None"."""

    der: bytes
    services: str

    @property
    def thumbprint(self) -> str:
        """SHA-1 over the DER in upper case: how Windows names certificates."""
        return hashlib.sha1(self.der, usedforsecurity=False).hexdigest().upper()

    @property
    def parsed(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.der)


@dataclass(slots=True)
class ServerCertificates:
    """The stores of all servers, and which certificate the organisation uses for OAuth."""

    organisation: Organisation
    auth: str = ""
    next_auth: str = ""
    previous_auth: str = ""
    _stores: dict[str, list[Stored]] = field(default_factory=dict)
    _served: dict[str, list[Stored]] = field(default_factory=dict)
    _founded: datetime = field(init=False)

    def __post_init__(self) -> None:
        self._founded = datetime(self.organisation.now.year - 2, 3, 12, 9, 30, tzinfo=UTC)

    def on(self, server: Server) -> list[Stored]:
        """The certificates of a server, those that it shows first."""
        if server.name not in self._stores:
            self._stores[server.name] = list(self._own(server))
        return [*self._served.get(server.name.lower(), ()), *self._stores[server.name]]

    def serve(self, server: str, shown: Mapping[bytes, Sequence[str]]) -> None:
        """The server shows these certificates from now on: PEM to services, as "IIS" and "SMTP"."""
        self._served[server.lower()] = [
            Stored(
                x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER), ", ".join(services)
            )
            for pem, services in shown.items()
        ]

    def is_served(self, server: Server, stored: Stored) -> bool:
        """Whether this is one that the server's listeners show."""
        return stored in self._served.get(server.name.lower(), ())

    def for_smtp(self, server: Server) -> Stored | None:
        """The certificate behind STARTTLS; None: nothing is assigned to SMTP, nothing is offered.

        One from an authority goes before one that the server signed itself, for its own name; that
        for OAuth is for no name. The order is from memory [MEM].
        """
        found = [one for one in self.on(server) if "SMTP" in one.services.split(", ")]
        return next(
            (one for one in found if self.is_served(server, one) or server.fqdn in _names(one.der)),
            None,
        )

    def assign(self, server: Server, thumbprint: str, services: str) -> Stored | None:
        """A certificate in the server's store is for these services, "IIS, SMTP" or "None", from now on."""
        self.on(server)  # makes the store
        for known in (self._served.get(server.name.lower(), []), self._stores[server.name]):
            for place, one in enumerate(known):
                if one.thumbprint == thumbprint:
                    known[place] = Stored(one.der, services)
                    return known[place]
        return None

    def auth_thumbprint(self) -> str:
        """Of the certificate that the organisation signs its tokens with."""
        if not self.auth:
            self.auth = self._auth().thumbprint
        return self.auth

    def replace_auth(self, until: datetime, *servers: str) -> Stored:
        """The auth certificate on these servers is one that ends then; returns what is new."""
        new = self._auth(until)
        for server in self.organisation.servers:
            if server.name in servers:
                for old in self.on(server):
                    if AUTH_SUBJECT in old.parsed.subject.rfc4514_string():
                        self.remove(server, old.thumbprint)
                self._stores[server.name].append(new)
        return new

    def kept(self, server: Server) -> list[Stored]:
        """What a server has besides the certificate of its web server."""
        self.on(server)
        return list(self._stores[server.name])

    def put_back(self, server: Server, stored: list[Stored]) -> None:
        """The server has these again."""
        self._stores[server.name] = list(stored)

    def remove(self, server: Server, thumbprint: str) -> Stored | None:
        """Take a certificate out of a server's store; None when it has none such."""
        self.on(server)  # makes the store
        found = [one for one in self._stores[server.name] if one.thumbprint == thumbprint]
        kept = [one for one in self._stores[server.name] if one.thumbprint != thumbprint]
        self._stores[server.name] = kept
        return found[0] if found else None

    def _own(self, server: Server) -> Iterator[Stored]:
        since = self._founded
        names = (server.name, server.fqdn)
        yield Stored(_made(server.name, names, since, since + _YEARS, self._serial(server.name)),
                     "IIS, SMTP")  # fmt: skip
        yield self._auth()
        title = f"WMSvc-SHA2-{server.name}"
        yield Stored(_made(title, (), since, since + 2 * _YEARS, self._serial(title)), "None")

    def _auth(self, until: datetime | None = None) -> Stored:
        """Made once for the organisation: all its servers hold the same one."""
        until = until or self._founded + _YEARS
        number = self._serial(AUTH_SUBJECT, until.isoformat())
        return Stored(_made(AUTH_SUBJECT, (), until - _YEARS, until, number), "SMTP")

    def _serial(self, *what: str) -> int:
        return int(guid(self.organisation.seed, "certificate", *what).replace("-", ""), 16)


@lru_cache(maxsize=1)
def _key() -> rsa.RSAPrivateKey:
    """One key for all: nobody ever proves that he has it."""
    return rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)


@lru_cache(maxsize=64)
def context(stored: Stored) -> ssl.SSLContext:
    """A server's side of TLS that shows a certificate that Setup made."""
    private = _key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(prefix="lab-certificate-") as file:
        file.write(private + stored.parsed.public_bytes(Encoding.PEM))
        file.flush()
        made.load_cert_chain(file.name)
    return made


@lru_cache(maxsize=256)
def _names(der: bytes) -> tuple[str, ...]:
    """The DNS names that a certificate is for."""
    try:
        found = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return ()
    return tuple(found.value.get_values_for_type(x509.DNSName))


@lru_cache(maxsize=64)
def _made(
    subject: str, names: tuple[str, ...], since: datetime, until: datetime, serial: int
) -> bytes:
    """A self-signed certificate; the same words give the same one as long as the process lives."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(_key().public_key())
        .serial_number(serial >> 1)
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    if names:
        alternative = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        builder = builder.add_extension(alternative, critical=False)
    return builder.sign(_key(), hashes.SHA256()).public_bytes(Encoding.DER)
