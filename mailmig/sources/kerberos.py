"""Logging on with Kerberos: tickets of whoever runs mailmig, or of an account and its password.

    credential = log_on(account, password, gate, "logging on to Exchange")
    context = spnego.client(credential, hostname=server, service="HTTP", protocol="kerberos")

A password goes to the domain once per process: the ticket that it brings lies in memory, never
on disk, and serves all servers until it is nearly used up. A wrong password counts there as an
attempt, so it passes the same gate as everywhere else. Where a server is reached does not
matter: the ticket is for its name.

MIT's library does the work on Linux and macOS (the extra `kerberos`), Windows' own on Windows;
the latter is untried, and takes the ticket of whoever runs mailmig only. Errors are told apart by krb5's own numbers (krb5.h), never by texts. A
realm is written in capitals whatever the configuration says: `anna@town.example` is
`anna@TOWN.EXAMPLE`.
"""

import sys
from threading import Lock
from typing import Any, Final
from uuid import uuid4

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from spnego import CredentialCache, KerberosCCache
from spnego.channel_bindings import GssChannelBindings

from mailmig.model.errors import MailmigError, MissingExtra
from mailmig.model.secret import Secret
from mailmig.sources.kerberos_errors import (
    ClocksApart,
    KdcUnreachable,
    KerberosFailed,
    NoPasswordHere,
    NoTicket,
    TicketExpired,
    TicketRefused,
    UnknownService,
)
from mailmig.sources.remote_logon import LogonGate

Credential = CredentialCache | KerberosCCache | None

# Seconds before its end at which a ticket is replaced: a long command must not outlive it.
_NEARLY_OVER_S: Final = 600
_BASE: Final = -1_765_328_384  # ERROR_TABLE_BASE_krb5
_UNKNOWN_ACCOUNT, _UNKNOWN_SERVICE = _BASE + 6, _BASE + 7
# With and without pre-authentication, and where no other way to show it is left.
_WRONG_PASSWORD, _BAD_INTEGRITY, _NO_MORE_WAYS = _BASE + 24, _BASE + 31, _BASE + 210
_REFUSALS: Final = {
    _BASE + 1: "the account has expired",
    _UNKNOWN_ACCOUNT: "no such account",
    _BASE + 12: "not at this time or not from this machine",
    _BASE + 18: "the account is locked or disabled",
    _BASE + 23: "its password has expired",
    _WRONG_PASSWORD: "wrong password",
    _BAD_INTEGRITY: "wrong password",
    _NO_MORE_WAYS: "wrong password",
}
# These say that account or password are wrong; the others that the account may not log on.
WRONG: Final = (_UNKNOWN_ACCOUNT, _WRONG_PASSWORD, _BAD_INTEGRITY, _NO_MORE_WAYS)
_EXPIRED: Final = (_BASE + 32,)
_SKEW: Final = (_BASE + 37, _BASE + 33, _BASE + 148)  # also: not yet valid, in the KDC's reply
# No such realm, no KDC answers, a name that does not resolve, no default realm, another realm.
_NOWHERE: Final = (_BASE + 154, _BASE + 156, _BASE + 220, _BASE + 224, _BASE + 68)
_NO_TICKET: Final = (_BASE + 141, _BASE + 195, _BASE + 196)

_tickets: dict[tuple[str, Secret], str] = {}
_turn = Lock()


def log_on(account: str, password: Secret | None, gate: LogonGate, what: str) -> Credential:
    """What spnego is given to log on with. Blocks while the domain is asked.

    Raises:
        MissingExtra: the libraries are not installed; `what` says what wanted them.
        NoTicket, TicketExpired: there is no password, and no ticket.
        NoPasswordHere: there is a password, on Windows.
        TicketRefused: the domain does not let the account in.
        KdcUnreachable, ClocksApart, KerberosFailed: the domain was not asked, or not understood.
        LogonClosed, RefusedBefore, LogonUnsettled: the password was refused earlier.
    """
    if sys.platform == "win32":
        if password is not None:  # Windows would show it for each connection, past the gate
            raise NoPasswordHere(account)
        return CredentialCache(account) if account else None
    try:
        import gssapi
        import krb5  # noqa: F401  pyspnego wants it
    except ImportError as error:
        raise MissingExtra("kerberos", what) from error
    principal = _principal(account)
    if password is None:
        _look_for_ticket(gssapi, principal)
        return CredentialCache(principal) if principal else None
    with _turn:
        key = principal, password
        if key not in _tickets or _left(gssapi, _tickets[key]) < _NEARLY_OVER_S:
            _tickets[key] = _ticket(gssapi, principal, password, gate)
        return KerberosCCache(_tickets[key])


def meaning(error: BaseException, server: str, service: str, account: str) -> MailmigError | None:
    """What an error of the libraries means; None for one that is none of Kerberos'."""
    code = _code(error)
    if code is None:
        return None
    said = _words(error)
    if code in _REFUSALS:
        return TicketRefused(account, _REFUSALS[code], code)
    if code == _UNKNOWN_SERVICE:
        return UnknownService(f"{service}/{server}")
    if code in _SKEW:
        return ClocksApart(server)
    if code in _EXPIRED:
        return TicketExpired(account)
    if code in _NOWHERE:
        return KdcUnreachable(account, said)
    if code in _NO_TICKET:
        return NoTicket(account, said)
    return KerberosFailed(server, said)


def bindings(certificate: bytes | None) -> GssChannelBindings | None:
    """What ties a logon to the TLS connection with this certificate (DER), RFC 5929 4.1."""
    if certificate is None:
        return None
    try:
        used = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    except UnsupportedAlgorithm:
        used = None
    digest = hashes.Hash(used if used and used.name not in ("md5", "sha1") else hashes.SHA256())
    digest.update(certificate)
    return GssChannelBindings(application_data=b"tls-server-end-point:" + digest.finalize())


def _principal(account: str) -> str:
    r"""`TOWN\anna` has no realm: the machine's own is meant."""
    user, at, realm = account.rpartition("\\")[2].partition("@")
    return f"{user}{at}{realm.upper()}"


def _ticket(gssapi: Any, principal: str, password: Secret, gate: LogonGate) -> str:
    """Shows the password to the domain; the name of the ticket in memory."""
    place = f"MEMORY:mailmig-{uuid4().hex}"
    kerberos = gssapi.MechType.kerberos
    name = gssapi.Name(principal, gssapi.NameType.user)
    with gate.attempt(principal, password, "the domain") as noted:
        try:
            got = gssapi.raw.acquire_cred_with_password(
                name, password.reveal().encode(), mechs=[kerberos], usage="initiate"
            )
            gssapi.raw.store_cred_into(
                {b"ccache": place.encode()}, got.creds, usage="initiate", mech=kerberos,
                overwrite=True,
            )  # fmt: skip
        except gssapi.exceptions.GSSError as error:
            found = _of_logon(error, principal)
            if isinstance(found, TicketRefused):
                noted.refused(found.reason)
            elif isinstance(found, KdcUnreachable | ClocksApart):
                noted.unshown()
            raise found from error
        noted.accepted()
    return place


def _left(gssapi: Any, place: str) -> float:
    """Seconds until a ticket in memory ends."""
    try:
        return float(gssapi.Credentials(usage="initiate", store={"ccache": place}).lifetime)
    except gssapi.exceptions.GSSError:
        return 0.0


def _look_for_ticket(gssapi: Any, principal: str) -> None:
    """Whether somebody has logged on here, and long enough."""
    name = gssapi.Name(principal, gssapi.NameType.user) if principal else None
    try:
        mine = gssapi.Credentials(name=name, usage="initiate", mechs=[gssapi.MechType.kerberos])
        if mine.lifetime == 0:
            raise TicketExpired(principal)
    except gssapi.exceptions.ExpiredCredentialsError as error:
        raise TicketExpired(principal) from error
    except gssapi.exceptions.GSSError as error:
        raise NoTicket(principal, _words(error)) from error


def _of_logon(error: BaseException, principal: str) -> MailmigError:
    realm = principal.partition("@")[2] or "the domain"
    found = meaning(error, realm, "krbtgt", principal)
    return found or KerberosFailed(realm, _words(error))


def _code(error: BaseException | None) -> int | None:
    """krb5's number, which libraries keep in several places."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        number = getattr(error, "min_code", None) or getattr(error, "err_code", None)
        if isinstance(number, int) and number:
            return (number ^ 0x8000_0000) - 0x8000_0000 if number > 0 else number
        error = getattr(error, "base_error", None) or error.__cause__ or error.__context__
    return None


def _words(error: BaseException) -> str:
    """What Kerberos itself says of it, without the libraries' frames around."""
    said = " ".join(str(error).split())
    return said.rpartition("): ")[2].partition(", Context:")[0]
