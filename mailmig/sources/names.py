"""Asks name servers, each one directly and without a cache.

    names = Names(addresses={("dc1.town.example", 53): ("127.0.1.10", 5353)})
    seen = await names.ask("mail.town.example", "A", "dc1.town.example")

Questions go over UDP, and over TCP where the answer is long. `addresses` says where to
connect instead, as for the lab; it is empty in production.
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeVar

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.resolver
import dns.tsig
import dns.update
from dns.message import Message
from dns.rcode import Rcode
from dns.rdtypes.ANY.SOA import SOA
from dns.rdtypes.IN.SRV import SRV

from mailmig.model.errors import MailmigError
from mailmig.model.names import (
    DNS_PORT,
    AddressMap,
    Agreement,
    DomainController,
    NameAnswer,
    NameRecord,
    Silence,
)  # fmt: skip
from mailmig.model.settings import setting
from mailmig.sources.names_errors import (
    BadName,
    BrokenAnswer,
    NameServerUnreachable,
    NoSuchName,
    NoSuchRecord,
    QuestionRefused,
)  # fmt: skip
from mailmig.sources.names_exchange import Place, over_either

_UDP_BYTES: Final = 1232
# A documentation address (RFC 5737) that no set holds: to delete it proves a right, no more.
_NOBODY: Final = "192.0.2.1"
_SET_CHANGED: Final = (Rcode.NXRRSET, Rcode.YXRRSET, Rcode.NXDOMAIN, Rcode.YXDOMAIN)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NamesSettings:
    """`[names]`: the name servers, and how patiently they are asked."""

    servers: tuple[str, ...] = setting(
        (),
        "Name servers that are asked, by name or address. "
        "Without them: those that this machine uses.",
        example=["ls-dc1.ad.lindenstadt.example", "192.0.2.53"],
    )
    timeout_s: float = setting(3.0, "Seconds to wait for one packet or one TCP answer.")
    tries: int = setting(2, "How often a question is sent over UDP until an answer comes.")
    parallel: int = setting(4, "How many questions may be open at one server at a time.")

    def __post_init__(self) -> None:
        if self.timeout_s <= 0 or self.tries < 1 or self.parallel < 1:
            raise ValueError("timeout_s is above 0; tries and parallel are at least 1")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Names:
    """Name servers, asked from one vantage. Use one instance in one event loop.

    All questions raise `BadName` for what cannot be a name, `NameServerUnreachable`,
    `QuestionRefused` and `BrokenAnswer`, each naming the server.
    """

    def __init__(
        self,
        settings: NamesSettings | None = None,
        addresses: AddressMap | None = None,
        *,
        vantage: str = "",
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.settings = settings or NamesSettings()
        self._addresses = {
            (_lower(name), port): to for (name, port), to in (addresses or {}).items()
        }
        self._vantage = vantage
        self._now = now
        self._gates: dict[str, asyncio.Semaphore] = {}

    def servers(self) -> tuple[str, ...]:
        """The servers of the settings, else those that this machine uses."""
        if self.settings.servers:
            return self.settings.servers
        try:
            used = dns.resolver.get_default_resolver().nameservers
        except dns.resolver.NoResolverConfiguration:
            used = []
        return tuple(str(server) for server in used)

    async def ask(
        self, name: str, kind: str, server: str, *, absent_ok: bool = False
    ) -> NameAnswer:
        """What one server says about a name and a type ("A", "SRV", ...).

        Where the server holds the zone itself, a second question gives the zone's serial.

        Raises:
            NoSuchName, NoSuchRecord: there is none, unless `absent_ok`; both carry the answer.
        """
        asked, rdtype = dns_name(name), _dns_type(kind)
        place = await self.place(server)
        query = dns.message.make_query(asked, rdtype, use_edns=0, payload=_UDP_BYTES)
        back = await self._exchange(query, place)
        # The data is asked for once only: each question turns a set that is given in turns.
        held = bool(back.flags & dns.flags.AA)
        zone, serial = await self.zone_of(asked, place) if held else ("", None)
        answer = self._answer(name, kind, back, place, zone, serial)
        if absent_ok or answer.found:
            return answer
        raise NoSuchName(answer) if answer.rcode == "NXDOMAIN" else NoSuchRecord(answer)

    async def compare(self, name: str, kind: str, servers: Sequence[str]) -> Agreement:
        """The same question at several servers, at the same time; silence is kept, not raised.

        Raises:
            BadName: the name cannot be a name.
        """
        dns_name(name), _dns_type(kind)
        said = await asyncio.gather(*(self._said(name, kind, server) for server in servers))
        answers = tuple(one for one in said if isinstance(one, NameAnswer))
        silent = tuple(one for one in said if isinstance(one, Silence))
        return Agreement(_lower(name), kind.upper(), answers, silent)

    async def discover(
        self, domain: str, *, site: str = "", server: str | None = None
    ) -> tuple[DomainController, ...]:
        """The domain controllers of a domain, or of one site in it, as published in DNS.

        Asks `server`, else the first of `servers()` that answers. The order is the one in
        which clients take them: by priority, then the greater weight first.

        Raises:
            NoSuchName, NoSuchRecord: DNS knows no domain controllers of this domain.
        """
        where = (
            f"_ldap._tcp.{_utf8_label(site)}._sites.dc._msdcs" if site else "_ldap._tcp.dc._msdcs"
        )
        ask = partial(self._first, [server] if server else self.servers())
        found = await ask(lambda one: self.ask(f"{where}.{domain}", "SRV", one))
        controllers = await asyncio.gather(
            *(self._controller(value, found.server) for value in found.values)
        )
        return tuple(sorted(controllers, key=lambda dc: (dc.priority, -dc.weight, dc.name)))

    async def _said(self, name: str, kind: str, server: str) -> NameAnswer | Silence:
        try:
            return await self.ask(name, kind, server, absent_ok=True)
        except MailmigError as error:
            return Silence(server, str(error))

    async def _first(self, servers: Iterable[str], ask: Callable[[str], Awaitable[T]]) -> T:
        """What the first server says that can be reached and does not fail."""
        trouble: MailmigError | None = None
        for server in servers:
            try:
                return await ask(server)
            except (NameServerUnreachable, QuestionRefused, BrokenAnswer) as error:
                trouble = trouble or error
        if trouble is None:
            reason = "this machine names none: write some into [names] servers"
            raise NameServerUnreachable("none", "no address", reason)
        raise trouble

    async def _controller(self, value: str, server: str) -> DomainController:
        """The host behind one SRV record, with its addresses by the same server."""
        rdata = dns.rdata.from_text("IN", "SRV", value)
        assert isinstance(rdata, SRV)
        name = _text(rdata.target)
        both = [await self.ask(name, kind, server, absent_ok=True) for kind in ("A", "AAAA")]
        addresses = tuple(address for answer in both for address in answer.addresses)
        return DomainController(name, rdata.port, rdata.priority, rdata.weight, addresses)

    async def zone_of(self, name: dns.name.Name, place: Place) -> tuple[str, int | None]:
        """The zone in which a name lies, by this server, and its serial there.

        The SOA comes as the answer or beside "no"; an alias may lead into another zone,
        and then the name above is asked.
        """
        above = name
        while above != dns.name.root:
            query = dns.message.make_query(above, "SOA", use_edns=0, payload=_UDP_BYTES)
            back = await self._exchange(query, place)
            for rrset in (*back.answer, *back.authority):
                soa = rrset[0]
                if isinstance(soa, SOA) and name.is_subdomain(rrset.name):
                    return _text(rrset.name), soa.serial
            above = above.parent()
        return "", None

    async def _exchange(self, query: Message, place: Place) -> Message:
        """One question, with the rcodes that mean trouble translated."""
        asked = query.question[0]
        async with self.gate(place):
            timeout_s, tries = self.settings.timeout_s, self.settings.tries
            back = await over_either(query, place, timeout_s, tries)
            if back.rcode() in (Rcode.FORMERR, Rcode.NOTIMP) and back.edns < 0 <= query.edns:
                plain = dns.message.make_query(asked.name, asked.rdtype)
                back = await over_either(plain, place, timeout_s, tries)
        name, kind = _text(asked.name), dns.rdatatype.to_text(asked.rdtype)
        rcode = back.rcode()
        if rcode in (Rcode.REFUSED, Rcode.NOTAUTH):
            raise QuestionRefused(place.server, name, kind)
        if rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN):
            raise BrokenAnswer(place.server, name, f"it says {dns.rcode.to_text(rcode)}")
        if rcode == Rcode.NOERROR and not back.answer and _is_referral(back):
            reason = f"it only points to the servers of {_text(back.authority[0].name)}"
            raise BrokenAnswer(place.server, name, reason)
        return back

    def _answer(
        self, name: str, kind: str, back: Message, place: Place, zone: str, serial: int | None
    ) -> NameAnswer:
        records = tuple(
            NameRecord(
                _text(rrset.name), dns.rdatatype.to_text(rrset.rdtype), rrset.ttl, rdata.to_text()
            )
            for rrset in back.answer
            for rdata in rrset
        )
        return NameAnswer(
            name=_lower(name), type=kind.upper(), server=place.server, address=place.address,
            port=place.port, rcode=dns.rcode.to_text(back.rcode()),
            authoritative=bool(back.flags & dns.flags.AA), seen_at=self._now(), records=records,
            serial=serial, zone=zone, vantage=self._vantage,
        )  # fmt: skip

    async def place(self, server: str) -> Place:
        """Where a server is asked: by the map, by its address, else by this machine's names."""
        mapped = self._addresses.get((_lower(server), DNS_PORT))
        if mapped is not None:
            return Place(server, *mapped)
        try:
            return Place(server, str(ipaddress.ip_address(server)), DNS_PORT)
        except ValueError:
            pass
        try:
            found = await asyncio.get_running_loop().getaddrinfo(server, DNS_PORT)
        except (OSError, UnicodeError) as error:
            raise NameServerUnreachable(server, "no address", "its name has no address") from error
        return Place(server, str(found[0][4][0]), DNS_PORT)

    def gate(self, place: Place) -> asyncio.Semaphore:
        """Lets only so many questions be open at one server."""
        return self._gates.setdefault(str(place), asyncio.Semaphore(self.settings.parallel))


def _is_referral(back: Message) -> bool:
    kinds = {rrset.rdtype for rrset in back.authority}
    return dns.rdatatype.NS in kinds and dns.rdatatype.SOA not in kinds


def dns_name(text: str) -> dns.name.Name:
    """A name as DNS knows it; `BadName` where it cannot be one."""
    try:
        return dns.name.from_text(text)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise BadName(text, f"is no name in DNS: {error}") from error


def _dns_type(text: str) -> dns.rdatatype.RdataType:
    try:
        return dns.rdatatype.from_text(text)
    except (dns.exception.DNSException, ValueError) as error:
        raise BadName(text, "is no record type; A, AAAA, CNAME, MX, SRV are some") from error


def _utf8_label(text: str) -> str:
    """One label, whatever is in it: Active Directory publishes site names as UTF-8."""
    return "".join(f"\\{byte:03d}" for byte in text.encode())


def _lower(name: str) -> str:
    return name.rstrip(".").lower()


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()
