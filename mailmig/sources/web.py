"""Asks web servers by address: pages without a logon, and the certificates that they show.

    web = Web(WebSettings(ca_file=...), addresses)
    page = await web.fetch("192.0.2.11", "mail.town.example", "/mapi/healthcheck.htm")

Nothing is retried, no redirect is followed, nothing is ever sent unasked.
"""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mailmig.model.names import AddressMap
from mailmig.model.settings import setting
from mailmig.model.web import HTTPS_PORT, Certificate, Handshake, Page, Stage, Trouble
from mailmig.sources.remote_reach import trusting
from mailmig.sources.web_line import Line, LineBroken, connected

# What is kept of a page, in bytes; a healthcheck has some dozens.
_KEPT: Final = 64 * 1024
SMTP: Final = "smtp"


@dataclass(frozen=True, slots=True)
class WebSettings:
    """`[web]`: how pages and certificates are asked for."""

    ca_file: Path | None = setting(
        None, "File with the authorities that signed the servers' certificates. "
        "Without it: those that this machine trusts.", example="/etc/mailmig/ca.pem",
    )  # fmt: skip
    timeout_s: float = setting(
        5.0, "Seconds that a probe may take; where it logs on, each of its requests."
    )
    agent: str = setting("mailmig", "User-Agent that the probes name.")
    parallel: int = setting(8, "How many probes may be open at one address at a time.")

    def __post_init__(self) -> None:
        if self.timeout_s <= 0 or self.parallel < 1:
            raise ValueError("timeout_s is above 0, parallel at least 1")


class Web:
    """Web servers, asked by address. Raises `BadFile` for authorities that cannot be read.

    Whatever a server does is part of the answer: the questions themselves raise nothing.
    """

    def __init__(self, settings: WebSettings | None = None, addresses: AddressMap | None = None):
        self.settings = settings or WebSettings()
        self.addresses = addresses or {}
        self.trusting = trusting(self.settings.ca_file, https=True)
        self.trusting.set_alpn_protocols(["http/1.1"])
        self._looking = _looking()

    async def fetch(self, address: str, host: str, path: str, port: int = HTTPS_PORT) -> Page:
        """GET a page, over TLS with a certificate that is good for `host`."""
        line: Line | None = None
        agent = self.settings.agent
        headers = (("Host", host), ("User-Agent", agent), ("Connection", "close"))
        try:
            async with (
                asyncio.timeout(self.settings.timeout_s),
                connected(address, port, self.addresses) as line,
            ):
                await line.start_tls(self.trusting, host)
                reply = await line.ask("GET", path, headers, most=_KEPT)
        except TimeoutError:
            trouble = self._late(_reached(line))
        except LineBroken as error:
            trouble = error.trouble
        else:
            return Page(
                reply.status, reply.reason, reply.headers, reply.body.decode("utf-8", "replace"),
                reply.truncated, line.connect_s, line.tls_s, reply.took_s,
            )  # fmt: skip
        spent = (line.connect_s, line.tls_s) if line else (0.0, 0.0)
        return Page(connect_s=spent[0], tls_s=spent[1], trouble=trouble)

    async def greet(
        self, address: str, host: str, port: int = HTTPS_PORT, start: str = ""
    ) -> Handshake:
        """What certificate is shown for `host`, and whether it is good for it."""
        seen = await self._greeted(address, host, port, start, self.trusting)
        if seen.trouble is None or not seen.untrusted:
            return seen
        bare = await self._greeted(address, host, port, start, self._looking)
        return replace(bare, untrusted=seen.untrusted)

    async def _greeted(
        self, address: str, host: str, port: int, start: str, context: ssl.SSLContext
    ) -> Handshake:
        line: Line | None = None
        untrusted = ""
        try:
            async with (
                asyncio.timeout(self.settings.timeout_s),
                connected(address, port, self.addresses) as line,
            ):
                if start == SMTP:
                    await _ask_for_tls(line)
                await line.start_tls(context, host)
                return _shown(line)
        except TimeoutError:
            trouble = self._late(Stage.TLS if line else Stage.TCP)
        except LineBroken as error:
            trouble = error.trouble
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                untrusted = trouble.reason
        connect_s = line.connect_s if line else 0.0
        return Handshake(untrusted=untrusted, connect_s=connect_s, trouble=trouble)

    def _late(self, stage: Stage) -> Trouble:
        return Trouble(stage, f"no answer within {self.settings.timeout_s:g} s", timed_out=True)


def _reached(line: Line | None) -> Stage:
    """How far it had come when the time was over."""
    if line is None:
        return Stage.TCP
    return Stage.HTTP if line.tls_s else Stage.TLS


def certificate(der: bytes) -> Certificate:
    """A certificate from its bytes (DER)."""
    found = x509.load_der_x509_certificate(der)
    names: tuple[str, ...] = ()
    with contextlib.suppress(x509.ExtensionNotFound):
        alternative = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        named = alternative.get_values_for_type(x509.DNSName)
        numbered = alternative.get_values_for_type(x509.IPAddress)
        names = (*(name.lower() for name in named), *map(str, numbered))
    key = found.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        kind = f"RSA {key.key_size}"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        kind = f"EC {key.curve.name}"
    else:
        kind = type(key).__name__
    hashed = found.signature_hash_algorithm
    return Certificate(
        subject=found.subject.rfc4514_string(), issuer=found.issuer.rfc4514_string(), names=names,
        not_before=found.not_valid_before_utc, not_after=found.not_valid_after_utc,
        thumbprint=found.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303  as Windows names it
        key=kind,
        signature_hash=hashed.name if hashed else "",
    )  # fmt: skip


def _shown(line: Line) -> Handshake:
    tls = line.writer.get_extra_info("ssl_object")
    cipher = tls.cipher()
    return Handshake(
        certificate(tls.getpeercert(binary_form=True)), version=tls.version() or "",
        cipher=cipher[0] if cipher else "", connect_s=line.connect_s, tls_s=line.tls_s,
    )  # fmt: skip


async def _ask_for_tls(line: Line) -> None:
    """STARTTLS. Raises `LineBroken` where TLS may not begin."""
    for command in (b"", b"EHLO mailmig.invalid\r\n", b"STARTTLS\r\n"):
        line.writer.write(command)
        said = await _reply(line.reader)
        if not said.startswith("2"):
            raise LineBroken(Trouble(Stage.TLS, f"it says {said or 'nothing'}"))
        if command.startswith(b"EHLO") and "STARTTLS" not in said.upper():
            raise LineBroken(Trouble(Stage.TLS, "it offers no STARTTLS"))


async def _reply(reader: asyncio.StreamReader) -> str:
    """One answer of SMTP, all its lines."""
    lines = []
    while True:
        text = (await reader.readline()).decode("ascii", "replace").rstrip()
        lines.append(text)
        if text[3:4] != "-":
            return " ".join(lines)


def _looking() -> ssl.SSLContext:
    """Only to see what is shown: nothing is sent over such a connection."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
