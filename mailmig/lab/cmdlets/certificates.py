"""Certificates of servers, and the one that the organisation signs its tokens with.

The remote object of a certificate holds its DER and nothing else that a client can read
(health.md 6): subject, names, dates and thumbprint are in there.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Final

from cryptography import x509

from mailmig.lab.cmdlets.errors import Failed
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated
from mailmig.lab.connectors import texts
from mailmig.lab.exchange.calls import not_simulated
from mailmig.lab.objects import Live
from mailmig.lab.server_certificates import Stored
from mailmig.model.organisation import Server

_SMTP: Final = "SMTP"


def _certificates(ask: Ask) -> Iterator[Given]:
    for _, one in _meant(ask):
        yield Row("Get-ExchangeCertificate", one.thumbprint, None, partial(_shown, one))


def _meant(ask: Ask) -> Iterator[tuple[Server, Stored]]:
    r"""Those of a server; one by its thumbprint, or by `SERVER\THUMBPRINT`. Raises `Failed`."""
    server = ask.reached("Server")
    wanted = str(ask.bound.get("Thumbprint") or "")
    if ask.identity:
        server, wanted = _asked(ask, server)
    names = _names(ask)
    found = False
    for one in ask.world.certificates.on(server):
        if wanted and one.thumbprint.lower() != wanted.replace(" ", "").lower():
            continue
        if names and not names & {name.lower() for name in _dns_names(one)}:
            continue
        found = True
        yield server, one
    if wanted and not found:
        raise ask.failed(
            f"The certificate with thumbprint {wanted} was not found.",
            "System.InvalidOperationException", "InvalidOperation",
        )  # fmt: skip


def _enable(ask: Ask) -> Iterator[Given]:
    """A certificate is for SMTP, too; what a certificate is for is never taken away like this."""
    wanted = {word.strip() for text in texts(ask.bound.get("Services")) for word in text.split(",")}
    if {word.upper() for word in wanted} != {_SMTP}:
        raise Failed(not_simulated(f"-Services {', '.join(sorted(wanted))}, but SMTP alone"))
    for server, one in _meant(ask):
        known = [word for word in one.services.split(", ") if word != "None"]
        if _SMTP not in known and not ask.bound.is_on("WhatIf"):
            ask.world.certificates.assign(server, one.thumbprint, ", ".join([*known, _SMTP]))
    yield from ()


def _asked(ask: Ask, server: Server) -> tuple[Server, str]:
    name, _, thumbprint = ask.identity.rpartition("\\")
    for known in ask.organisation.servers:
        if name and name.lower() in (known.name.lower(), known.fqdn.lower()):
            return known, thumbprint
    if name:
        raise ask.not_found(name)
    return server, thumbprint


def _names(ask: Ask) -> set[str]:
    given = ask.bound.get("DomainName")
    found = given if isinstance(given, list) else [given] if given else []
    return {str(one).lower() for one in found}


def _dns_names(one: Stored) -> list[str]:
    try:
        extension = one.parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return extension.value.get_values_for_type(x509.DNSName)


def _shown(one: Stored) -> tuple[str, Live]:
    """The text is what .NET prints of a certificate, in the machine's own time: here UTC."""
    parsed = one.parsed
    parts = (
        ("Subject", parsed.subject.rfc4514_string()),
        ("Issuer", parsed.issuer.rfc4514_string()),
        ("Serial Number", f"{parsed.serial_number:X}"),
        ("Not Before", _american(parsed.not_valid_before_utc)),
        ("Not After", _american(parsed.not_valid_after_utc)),
        ("Thumbprint", one.thumbprint),
    )
    text = "\r\n\r\n".join(f"[{name}]\r\n  {value}" for name, value in parts) + "\r\n"
    return text, {"RawData": one.der}


def _american(at: datetime) -> str:
    return f"{at:%m/%d/%Y %H:%M:%S}"


def _auth_config(ask: Ask) -> Iterator[Given]:
    names = ("Auth Configuration",)
    store = ask.world.certificates
    live: Live = {
        **ask.view.stores.common(names, "ms-Exch-Auth-Auth-Config", "msExchAuthAuthConfig"),
        "CurrentCertificateThumbprint": store.auth_thumbprint(),
        "PreviousCertificateThumbprint": store.previous_auth or None,
        "NextCertificateThumbprint": store.next_auth or None,
        "NextCertificateEffectiveDate": None,
    }
    yield Row("Get-AuthConfig", str(live["Guid"]), None, partial(_same, names[0], live))


def _same(text: str, live: Live) -> tuple[str, Live]:
    return text, live


CMDLETS: Final = (
    Simulated(
        "Get-ExchangeCertificate", _certificates,
        ("Identity", "Thumbprint", "Server", "DomainName"),
    ),
    Simulated(
        "Enable-ExchangeCertificate", _enable,
        ("Identity", "Thumbprint", "Server", "Services", "Force"), changes=True,
    ),
    Simulated("Get-AuthConfig", _auth_config),
)  # fmt: skip
