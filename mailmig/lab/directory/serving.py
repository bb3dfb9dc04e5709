"""A domain controller: listens, lets people in, and answers searches. It takes no changes.

    async with DomainController(forest, "ls-dc1", accounts, host="127.0.1.10") as dc:
        dc.where                        # address and port of LDAP
        dc.secure                       # the same of LDAPS, where there is a certificate

Logging on: simple, NTLM as ldap3 does it (Sicily), NTLM inside of SASL GSS-SPNEGO. All count
wrong attempts with the organisation's `Accounts`; the texts are those of Active Directory, with
the reason behind "data". A name without a password logs nobody on and is answered with
success, as the real one does. The switches are plain attributes and hold from the next
message on.
"""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import Iterator
from datetime import UTC, timedelta
from types import TracebackType
from typing import Final, Self

import sansldap
from sansldap import LDAPResultCode

from mailmig.lab.accounts import Account, Accounts
from mailmig.lab.certificates import Certificate
from mailmig.lab.directory import messages
from mailmig.lab.directory.forest import Forest
from mailmig.lab.directory.people import Plain, text
from mailmig.lab.directory.searching import Refused, Searches
from mailmig.lab.wsman.authentication import Doorkeeper, Logon, ntlm_name

_READ_BYTES: Final = 65536
_PRIVILEGED: Final = "Domain Admins"
_WRONG, _NOBODY, _LOCKED = "52e", "525", "775"
_HANDSHAKE_S: Final = 30.0


class DomainController:
    """One controller of a forest on one address; port 0 takes a free one.

    When the changes of others reach it, the forest knows. Limits: `size_limit`, `page_limit`,
    `value_range`. Switches: `delay_s` waits (real seconds) before each answer;
    `silent` accepts connections and never says a word; `hangs` stops in the middle of what
    it found; `cuts` ends the connection there; `refuses` ends every connection at once; `busy`
    answers every search with "busy"; `demands_signing` lets nobody log on without TLS.
    """

    def __init__(
        self,
        forest: Forest,
        name: str,
        accounts: Accounts,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        secure_port: int = 0,
        certificate: Certificate | None = None,
    ) -> None:
        self.forest = forest
        self.name = name
        self.accounts = accounts
        self.host = host
        self.port = port
        self.secure_port = secure_port
        self.certificate = certificate
        self.size_limit = 1000
        self.page_limit = 1000
        self.value_range = 1500
        self.delay_s = 0.0
        self.silent = False
        self.hangs = False
        self.cuts = False
        self.refuses = False
        self.busy = False
        self.demands_signing = False
        self.searches = 0
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def delay(self) -> timedelta:
        """How old a change of others has to be to be known here."""
        return self.forest.standing(self.name).behind(self.forest.now())

    @property
    def fqdn(self) -> str:
        """The name that its certificate should have."""
        return f"{self.name}.{self.forest.organisation.domain}"

    @property
    def where(self) -> tuple[str, int]:
        """Address and port of LDAP."""
        return self.host, self.port

    @property
    def secure(self) -> tuple[str, int]:
        """Address and port of LDAPS."""
        return self.host, self.secure_port

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address or the port cannot be had.
        """
        plain = await asyncio.start_server(self._converse, self.host, self.port)
        self._servers = [plain]
        self.port = plain.sockets[0].getsockname()[1]
        if self.certificate is not None:
            secure = await asyncio.start_server(
                self._converse, self.host, self.secure_port, ssl=self.certificate.context(),
                ssl_handshake_timeout=_HANDSHAKE_S,
            )  # fmt: skip
            self._servers.append(secure)
            self.secure_port = secure.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and end all conversations. The ports are kept for `start`."""
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()
        self._servers = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def root_dse(self) -> Plain:
        """What it tells about itself to anybody."""
        forest, domain = self.forest, self.forest.organisation.domain
        server = forest.controller_dn(self.name)
        catalog = forest.standing(self.name).is_global_catalog
        values = {
            "currentTime": text(forest.now().astimezone(UTC).strftime("%Y%m%d%H%M%S.0Z")),
            "subschemaSubentry": text(f"CN=Aggregate,{forest.schema}"),
            "dsServiceName": text(f"CN=NTDS Settings,{server}"),
            "namingContexts": [context.encode() for context in forest.contexts()],
            "defaultNamingContext": text(forest.base),
            "schemaNamingContext": text(forest.schema),
            "configurationNamingContext": text(forest.configuration),
            "rootDomainNamingContext": text(forest.base),
            "supportedControl": [control.encode() for control in messages.CONTROLS],
            "supportedLDAPVersion": [b"3", b"2"],
            "supportedLDAPPolicies": [b"MaxPageSize", b"MaxValRange"],
            "supportedSASLMechanisms": [b"GSS-SPNEGO"],
            "supportedExtension": [messages.START_TLS.encode(), messages.WHO_AM_I.encode()],
            "supportedCapabilities": [b"1.2.840.113556.1.4.800", b"1.2.840.113556.1.4.1670"],
            "dnsHostName": text(self.fqdn),
            "ldapServiceName": text(f"{domain}:{self.name}$@{domain.upper()}"),
            "serverName": text(server),
            "isSynchronized": [b"TRUE"],
            "isGlobalCatalogReady": [b"TRUE" if catalog else b"FALSE"],
            "domainFunctionality": [b"7"],
            "forestFunctionality": [b"7"],
            "domainControllerFunctionality": [b"7"],
            "objectClass": [b"top"],
        }
        return Plain("", "", values)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await _Conversation(self, reader, writer).run()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # the client went away, or the controller is being closed
        finally:
            self._tasks.discard(task)
            writer.transport.abort()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()


class _Conversation:
    """One connection: what was said so far, and who is on the other side."""

    def __init__(
        self,
        controller: DomainController,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._controller = controller
        self._reader = reader
        self._writer = writer
        self._session = messages.Session()
        self._searches = Searches(controller)
        self._account: Account | None = None
        self._logon = Logon()
        self._doorkeeper = Doorkeeper(controller.accounts, ("NTLM", "Negotiate"))

    @property
    def _secure(self) -> bool:
        return self._writer.get_extra_info("ssl_object") is not None

    async def run(self) -> None:
        while not self._controller.refuses:
            data = await self._reader.read(_READ_BYTES)
            if not data:
                return
            if self._controller.silent:
                continue
            if self._controller.delay_s:
                await asyncio.sleep(self._controller.delay_s)
            try:
                asked = self._session.receive(data)
            except sansldap.ProtocolError as error:  # a normal unbind comes as one, too
                if error.response:
                    self._writer.write(error.response)
                    await self._writer.drain()
                return
            for message in asked:
                if not await self._handle(message):
                    return

    async def _handle(self, message: sansldap.LDAPMessage) -> bool:
        """Answer one message; False ends the connection."""
        if isinstance(message, sansldap.BindRequest):
            self._bind(message)
        elif isinstance(message, sansldap.SearchRequest):
            if not await self._search(message):
                return False
        elif isinstance(message, sansldap.ExtendedRequest):
            if message.name == messages.START_TLS:
                return await self._start_tls(message.message_id)
            self._extended(message)
        await self._flush()
        return True

    async def _flush(self) -> None:
        self._writer.write(self._session.data_to_send())
        await self._writer.drain()

    async def _search(self, message: sansldap.SearchRequest) -> bool:
        controller, number = self._controller, message.message_id
        controller.searches += 1
        done = self._session.search_result_done
        if controller.busy:
            done(number, result_code=LDAPResultCode.BUSY, diagnostics_message=_BUSY)
            return True
        privileged = self._account is not None and _PRIVILEGED in self._account.roles
        try:
            with controller.forest.lock:
                answer = self._searches.answer(
                    message, known=self._account is not None, privileged=privileged
                )
        except Refused as error:
            self._session.refuse_search(
                number, error.code, error.text, error.matched, error.referrals
            )
            return True
        batches = answer.batches(number)
        while (batch := self._next(batches)) is not None:
            if controller.hangs or controller.cuts:
                self._writer.write(batch[: len(batch) // 2])
                await self._writer.drain()
                if controller.cuts:
                    return False
                await asyncio.Event().wait()
            self._writer.write(batch)
            await self._writer.drain()
        done(number, result_code=answer.code, controls=answer.controls)
        return True

    def _next(self, batches: Iterator[bytes]) -> bytes | None:
        """The next entries; their values are made of the organisation as it is now."""
        with self._controller.forest.lock:
            return next(batches, None)

    def _bind(self, message: sansldap.BindRequest) -> None:
        credential, number = message.authentication, message.message_id
        self._account = None
        sicily = isinstance(credential, messages.SicilyCredential)
        if self._controller.demands_signing and not self._secure:
            self._refuse(number, LDAPResultCode.STRONG_AUTH_REQUIRED, _SIGNING)
        elif isinstance(credential, sansldap.SimpleCredential):
            self._simple(number, message.name, credential.password)
        elif sicily and credential.auth_id == messages.DISCOVER:
            self._session.bind_response(number, matched_dn="NTLM")
        elif isinstance(credential, messages.SicilyCredential):
            self._step(number, "NTLM", credential.token, sasl=False)
        elif isinstance(credential, sansldap.SaslCredential) and credential.mechanism in (
            "GSS-SPNEGO", "GSSAPI",
        ):  # fmt: skip
            self._step(number, "Negotiate", credential.credentials or b"", sasl=True)
        else:
            self._refuse(number, LDAPResultCode.AUTH_METHOD_NOT_SUPPORTED, _UNKNOWN_METHOD)

    def _simple(self, number: int, name: str, password: str) -> None:
        if not password:
            self._session.bind_response(number)
            return
        accounts = self._controller.accounts
        spelt = self._spelt(name)
        account = accounts.find(spelt)
        locked = account is not None and accounts.is_locked(account)
        self._account = accounts.check(spelt, password, "LDAP simple")
        if self._account is not None:
            self._session.bind_response(number)
            return
        reason = _LOCKED if locked else _WRONG
        self._refuse(number, LDAPResultCode.INVALID_CREDENTIALS, _refusal(reason))

    def _spelt(self, name: str) -> str:
        """The name as `Accounts` knows it: a controller takes each of a domain's two names."""
        forest, accounts = self._controller.forest, self._controller.accounts
        if "=" in name:
            with forest.lock:
                return forest.account_of(name) or name
        given, _, user = name.rpartition("\\")
        if not given:
            user, _, given = name.partition("@")
        own = (forest.organisation.netbios, forest.organisation.domain)
        if given.lower() not in (one.lower() for one in own):
            return name
        spellings = (f"{domain}\\{user}" for domain in own)
        return next((one for one in spellings if accounts.find(one)), name)

    def _step(self, number: int, scheme: str, token: bytes, *, sasl: bool) -> None:
        """One message of NTLM, bare or inside of SPNEGO."""
        shown = ntlm_name(token)
        account = self._controller.accounts.find(shown) if shown else None
        locked = account is not None and self._controller.accounts.is_locked(account)
        header = f"{scheme} {base64.b64encode(token).decode()}"
        verdict = self._doorkeeper.admit(self._logon, header)
        answer = _token(dict(verdict.headers).get(b"www-authenticate", b""))
        if verdict.account is not None:
            self._account = verdict.account
            self._session.bind_response(number, sasl_creds=answer if sasl else None)
        elif not answer:
            self._logon = Logon()
            reason = _LOCKED if locked else _WRONG
            self._refuse(number, LDAPResultCode.INVALID_CREDENTIALS, _refusal(reason))
        elif sasl:
            code = LDAPResultCode.SASL_BIND_IN_PROGRESS
            self._session.bind_response(number, result_code=code, sasl_creds=answer)
        else:
            self._writer.write(self._session.data_to_send() + messages.challenge(number, answer))
            self._session.answered(number)

    def _refuse(self, number: int, code: LDAPResultCode, words: str) -> None:
        self._session.bind_response(number, result_code=code, diagnostics_message=words)

    def _extended(self, message: sansldap.ExtendedRequest) -> None:
        if message.name == messages.WHO_AM_I:
            who = f"u:{self._account.logon_name}".encode() if self._account else b""
            self._session.extended_response(message.message_id, value=who)
        else:
            self._session.extended_response(
                message.message_id, result_code=LDAPResultCode.PROTOCOL_ERROR,
                diagnostics_message=_UNKNOWN_EXTENSION,
            )  # fmt: skip

    async def _start_tls(self, number: int) -> bool:
        certificate = self._controller.certificate
        if certificate is None or self._secure:
            code = LDAPResultCode.UNAVAILABLE if certificate is None else (
                LDAPResultCode.OPERATIONS_ERROR
            )  # fmt: skip
            self._session.extended_response(
                number, result_code=code, diagnostics_message=_NO_TLS, name=messages.START_TLS
            )
            await self._flush()
            return True
        self._session.extended_response(number, name=messages.START_TLS)
        await self._flush()
        try:
            await self._writer.start_tls(certificate.context())
        except (ssl.SSLError, OSError):
            return False  # the client did not like the certificate
        return True


def _token(header: bytes) -> bytes:
    """What a doorkeeper's answer carries; a mere offer of schemes carries nothing."""
    _, _, encoded = header.partition(b" ")
    return base64.b64decode(encoded) if encoded else b""


def _refusal(reason: str) -> str:
    return (
        "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, "
        f"data {reason}, v4563"
    )


_BUSY: Final = "000020D9: SvcErr: DSID-0314019B, problem 5001 (BUSY), data 0\n"
_SIGNING: Final = (
    "00002028: LdapErr: DSID-0C090202, comment: The server requires binds to turn on integrity "
    "checking if SSL\\TLS are not already active on the connection, data 0, v4563"
)
_UNKNOWN_METHOD: Final = "00002027: LdapErr: DSID-0C090510, comment: Unknown method, data 0, v4563"
_UNKNOWN_EXTENSION: Final = (
    "00000057: LdapErr: DSID-0C090D16, comment: Unknown extended request OID, data 0, v4563"
)
_NO_TLS: Final = (
    "00000000: LdapErr: DSID-0C090E17, comment: Error initializing SSL/TLS, data 0, v4563"
)
