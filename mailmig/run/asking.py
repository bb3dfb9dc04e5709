"""Wires each question of a check to the client that can put it, one client per vantage."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mailmig.model.activesync import AskSyncOptions, SyncOptions
from mailmig.model.discovery import DiscoverBySoap, SoapSettings
from mailmig.model.ews import MailboxRead, ReadMailbox
from mailmig.model.finding import Answer, Fact, Origin, Question
from mailmig.model.mail import Delivery, GreetSmtp, SendProbe, SmtpGreeting
from mailmig.model.mapi import Discover, Discovered, Walk, WalkMailbox
from mailmig.model.names import AddressMap, NameAnswer, ResolveName
from mailmig.model.web import FetchPage, GreetTls, Handshake, Page
from mailmig.sources.activesync import ActiveSync
from mailmig.sources.autodiscover import Autodiscover
from mailmig.sources.autodiscover_soap import SoapAutodiscover
from mailmig.sources.mapi import Mapi
from mailmig.sources.names import Names, NamesSettings
from mailmig.sources.remote_logon import LogonGate
from mailmig.sources.smtp import Smtp
from mailmig.sources.web import Web, WebSettings
from mailmig.sources.web_entering import Entering, Way
from mailmig.sources.web_session import Credential, Logons

if TYPE_CHECKING:
    from mailmig.sources.ews import Ews
    from mailmig.sources.round_trip import RoundTrip

_Handler = Callable[[Any], Awaitable[Any]]


class Asking:
    """Puts questions to the organisation. Use one instance in one event loop."""

    def __init__(
        self, names: NamesSettings, web: WebSettings, addresses: AddressMap,
        probes: Mapping[str, Credential], gate: LogonGate,
        sender: str = "", delivery_s: float = 20.0,
    ) -> None:  # fmt: skip
        """`probes` by the address of their mailbox; `sender` and `delivery_s` of probe messages.

        Raises `BadFile` for unreadable authorities.
        """
        # A name is reached elsewhere; so is that place when it comes as an address from DNS.
        places = {(to, port): (to, at) for (_, port), (to, at) in addresses.items()}
        addresses = {**places, **addresses}
        self._settings = names
        self._addresses = addresses
        self._names: dict[str, Names] = {}
        self._web = Web(web, addresses)
        self._smtp = Smtp(web.timeout_s, addresses)
        logons = self._logons = Logons(gate)
        self._probes = probes
        self._sender = sender
        self._delivery_s = delivery_s
        self._mapi = Mapi(self._web, logons, probes)
        self._autodiscover = Autodiscover(self._web, logons, probes)
        self._soap = SoapAutodiscover(Entering(self._web, logons, probes))
        self._activesync = ActiveSync(self._web, logons, probes)
        self._handlers: dict[type[Question[Any]], _Handler] = {
            ResolveName: self._resolve, FetchPage: self._fetch, GreetTls: self._greet,
            Discover: self._discover, WalkMailbox: self._walk, GreetSmtp: self._greet_smtp,
            DiscoverBySoap: self._discover_by_soap, AskSyncOptions: self._sync_options,
            ReadMailbox: self._read_mailbox, SendProbe: self._send_probe,
        }  # fmt: skip

    async def put(self, question: Question[Any]) -> Answer[Any]:
        """The answer; raises `MailmigError` where there is none."""
        value = await self._handlers[type(question)](question)
        origin = Origin(question.target, question.protocol, question.vantage)
        return Fact(value, datetime.now(UTC), origin)

    async def _resolve(self, question: ResolveName) -> NameAnswer:
        names = self._names.get(question.vantage)
        if names is None:
            names = Names(self._settings, self._addresses, vantage=question.vantage)
            self._names[question.vantage] = names
        return await names.ask(question.name, question.kind, question.server, absent_ok=True)

    async def _fetch(self, question: FetchPage) -> Page:
        return await self._web.fetch(
            question.address, question.host, question.path, question.port
        )  # fmt: skip

    async def _greet(self, question: GreetTls) -> Handshake:
        return await self._web.greet(
            question.address, question.host, question.port, question.start
        )  # fmt: skip

    async def _discover(self, question: Discover) -> Discovered:
        return await self._autodiscover.discover(
            question.address, question.host, question.mailbox, question.caller, question.port
        )

    async def _walk(self, question: WalkMailbox) -> Walk:
        return await self._mapi.walk(
            question.address, question.host, question.path, question.caller, question.caller_dn,
            question.mailbox_dn, question.port,
        )  # fmt: skip

    async def _greet_smtp(self, question: GreetSmtp) -> SmtpGreeting:
        return await self._smtp.greet(question.address, question.port)

    async def _discover_by_soap(self, question: DiscoverBySoap) -> SoapSettings:
        return await self._soap.discover(
            question.address, question.host, question.mailbox, question.caller, question.port
        )

    async def _sync_options(self, question: AskSyncOptions) -> SyncOptions:
        return await self._activesync.options(
            question.address, question.host, question.caller, question.port
        )

    async def _read_mailbox(self, question: ReadMailbox) -> MailboxRead:
        return await self._ews.read(
            question.address, question.host, question.path, question.caller, question.mailbox,
            question.port,
        )  # fmt: skip

    async def _send_probe(self, question: SendProbe) -> Delivery:
        look = Way(question.ews_address, question.ews_host, question.mailbox, question.ews_port)
        return await self._trip.send(question.address, look, question.ews_path, question.port)

    # exchangelib takes the better part of a second to load: only who needs it waits for it.

    @cached_property
    def _ews(self) -> "Ews":
        from mailmig.sources.ews import Ews

        return Ews(self._web, self._logons, self._probes)

    @cached_property
    def _trip(self) -> "RoundTrip":
        from mailmig.sources.round_trip import Patience, RoundTrip

        settings = self._web.settings
        patience = Patience(settings.timeout_s, self._delivery_s)
        return RoundTrip(self._smtp, self._ews, settings.agent, patience, self._sender)
