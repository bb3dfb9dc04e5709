"""Changes one address of a set by a signed update (RFC 2136, TSIG), and proves it.

    changes = NameChanges(names, key)
    seen = await names.ask("mail.town.example", "A", "dc1.town.example")
    done = await changes.remove(seen, "192.0.2.11", keep="192.0.2.12", servers=both)

An update goes over TCP, once: sent twice, the second would find that the set has changed.
Its prerequisite is that the whole set is still as it was seen; it names one address and
never touches another record. AD-integrated zones that take "secure updates only" want
GSS-TSIG, which this module does not speak: there the DNS server's cmdlets do it. A static
record that comes back by an update carries a timestamp in such a zone and may be scavenged.
"""

import asyncio
import base64
import ipaddress
from collections.abc import Sequence
from typing import Final

import dns.rcode
import dns.rdata
import dns.tsig
import dns.update
from dns.rcode import Rcode

from mailmig.model.errors import MailmigError
from mailmig.model.names import NameAnswer, NameChange, UpdateKey
from mailmig.sources.names import Names, dns_name
from mailmig.sources.names_errors import (
    BadKey,
    BadName,
    BrokenAnswer,
    ChangeNotSeen,
    ChangeRefused,
    ChangeUnknown,
    KeyRefused,
    SetChanged,
    WouldLeaveNothing,
)
from mailmig.sources.names_exchange import Place, over_tcp

# A documentation address (RFC 5737) that no set holds: to delete it proves a right, no more.
_NOBODY: Final = "192.0.2.1"
_NOT_HELD: Final = "it does not hold the zone, so nothing can be changed there"
_SET_CHANGED: Final = (Rcode.NXRRSET, Rcode.YXRRSET, Rcode.NXDOMAIN, Rcode.YXDOMAIN)


class NameChanges:
    """Changes names with one key.

    Raises:
        BadKey: the key cannot sign: its secret is no base64, or its algorithm is unknown.
    """

    def __init__(self, names: Names, key: UpdateKey) -> None:
        self._names = names
        self.key = key
        self._tsig = _tsig(key)

    async def remove(
        self, seen: NameAnswer, address: str, *, keep: str, servers: Sequence[str]
    ) -> NameChange:
        """Take one address out of the set `seen`, at the server that gave that answer.

        `keep` is the address that must be in the set and stays. All `servers` are asked
        afterwards. Where the address is not in the set nothing is sent.

        Raises:
            WouldLeaveNothing: `keep` is not in the set, or is what was to be removed.
            KeyRefused, ChangeRefused, SetChanged: the server did not do it; nothing changed.
            ChangeUnknown, ChangeNotSeen: it was sent, and the server does not show it.
        """
        address, keep = _address(address, seen), _address(keep, seen)
        if keep not in seen.addresses or keep == address:
            raise WouldLeaveNothing(seen.name, address, keep, seen.addresses)
        expected = frozenset(seen.addresses) - {address}
        message = self._message(seen)
        message.delete(dns_name(seen.name), _rdata(seen.type, address))
        return await self._change(seen, expected, message, servers)

    async def add(
        self, seen: NameAnswer, address: str, *, ttl_s: int, servers: Sequence[str]
    ) -> NameChange:
        """Put one address into the set `seen`, at the server that gave that answer.

        `ttl_s` holds for the whole set. Where the address is in the set nothing is sent.

        Raises:
            KeyRefused, ChangeRefused, SetChanged: the server did not do it; nothing changed.
            ChangeUnknown, ChangeNotSeen: it was sent, and the server does not show it.
        """
        address = _address(address, seen)
        expected = frozenset(seen.addresses) | {address}
        message = self._message(seen)
        message.add(dns_name(seen.name), ttl_s, _rdata(seen.type, address))
        return await self._change(seen, expected, message, servers)

    async def may_change(self, name: str, server: str) -> bool:
        """Would the server let this key change the name? Changes nothing.

        Deletes an address that no set holds (192.0.2.1), because rights are checked per
        name only where there is something to check.

        Raises:
            KeyRefused: the key itself is not accepted.
            BrokenAnswer: the server does not hold the zone, or cannot be updated.
        """
        place = await self._names.place(server)
        zone, _ = await self._names.zone_of(dns_name(name), place)
        if not zone:
            raise BrokenAnswer(server, name, _NOT_HELD)
        message = dns.update.UpdateMessage(dns_name(zone), keyring=self._tsig)
        message.delete(dns_name(name), _rdata("A", _NOBODY))
        try:
            await self._send(message, name, place)
        except ChangeRefused:
            return False
        return True

    def _message(self, seen: NameAnswer) -> dns.update.UpdateMessage:
        """An update that happens only while the set is exactly as it was seen."""
        if not seen.authoritative or not seen.zone:
            raise BrokenAnswer(seen.server, seen.name, _NOT_HELD)
        if seen.canonical != seen.name:
            raise BadName(seen.name, f"is an alias: ask for {seen.canonical} and change that")
        name = dns_name(seen.name)
        message = dns.update.UpdateMessage(dns_name(seen.zone), keyring=self._tsig)
        if seen.addresses:
            message.present(name, *(_rdata(seen.type, one) for one in seen.addresses))
        else:
            message.absent(name, seen.type)
        return message

    async def _change(
        self, seen: NameAnswer, expected: frozenset[str], message: dns.update.UpdateMessage,
        servers: Sequence[str],
    ) -> NameChange:  # fmt: skip
        """Send it if it is needed, and look: at the server itself, then at all of them."""
        sent = expected != frozenset(seen.addresses)
        if sent:
            place = Place(seen.server, seen.address, seen.port)
            try:
                await self._send(message, seen.name, place)
            except SetChanged as error:
                raise SetChanged(seen.server, seen.name, seen.type, seen.addresses) from error
            await self._prove(seen, expected)
        after = await self._names.compare(seen.name, seen.type, servers)
        return NameChange(seen, sent, expected, after)

    async def _prove(self, seen: NameAnswer, expected: frozenset[str]) -> None:
        try:
            now = await self._names.ask(seen.name, seen.type, seen.server, absent_ok=True)
        except MailmigError as error:
            raise ChangeUnknown(seen.server, seen.name, str(error)) from error
        if frozenset(now.addresses) != expected:
            reason = f"does not show {', '.join(sorted(expected))}"
            raise ChangeNotSeen(seen.server, seen.name, now.addresses, reason)
        if now.serial == seen.serial:
            reason = f"its serial is still {seen.serial}"
            raise ChangeNotSeen(seen.server, seen.name, now.addresses, reason)

    async def _send(self, message: dns.update.UpdateMessage, name: str, place: Place) -> None:
        """Send an update once, and say what the server's rcode means."""
        server = place.server
        try:
            async with self._names.gate(place):
                back = await over_tcp(message, place, self._names.settings.timeout_s)
        except dns.tsig.PeerError as error:
            raise KeyRefused(server, self.key.name, _key_reason(error)) from error
        except BrokenAnswer as error:
            raise ChangeUnknown(server, name, error.reason) from error
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            raise ChangeUnknown(server, name, "no answer came") from error
        rcode = back.rcode()
        if rcode == Rcode.NOERROR:
            return
        if rcode == Rcode.REFUSED:
            raise ChangeRefused(server, name, self.key.name, "REFUSED")
        if rcode in _SET_CHANGED:
            raise SetChanged(server, name, "address", ())
        if rcode == Rcode.NOTAUTH and not back.had_tsig:
            raise KeyRefused(server, self.key.name, "it says NOTAUTH: compare name and secret")
        raise BrokenAnswer(server, name, f"it answers the update with {dns.rcode.to_text(rcode)}")


def _tsig(key: UpdateKey) -> dns.tsig.Key:
    try:
        base64.b64decode(key.secret.reveal(), validate=True)
        tsig = dns.tsig.Key(dns_name(key.name), key.secret.reveal(), key.algorithm)
        dns.tsig.get_context(tsig)  # type: ignore[no-untyped-call]
    except (ValueError, NotImplementedError, KeyError) as error:
        raise BadKey(key.name) from error
    return tsig


def _key_reason(error: dns.tsig.PeerError) -> str:
    if isinstance(error, dns.tsig.PeerBadTime):
        return "the clocks differ by more than 5 minutes; set the clock of this machine"
    if isinstance(error, dns.tsig.PeerBadKey):
        return "it does not know a key of this name and algorithm; look at its configuration"
    return "the secret is another one; look at the server's configuration"


def _rdata(kind: str, value: str) -> dns.rdata.Rdata:
    return dns.rdata.from_text("IN", kind, value)


def _address(text: str, seen: NameAnswer) -> str:
    """An address as answers write it, of the family of the set."""
    version = {"A": 4, "AAAA": 6}.get(seen.type)
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise BadName(text, "is no IP address") from error
    if version != address.version:
        raise BadName(text, f"is no address for the {seen.type} records of {seen.name}")
    return str(address)
