"""The accounts of computers, and the built-in groups that they are members of."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from mailmig.lab.directory import sids
from mailmig.lab.directory.configuration import plain
from mailmig.lab.directory.people import UNIVERSAL_SECURITY_GROUP, Plain, Values, number, text
from mailmig.lab.places import rdn

if TYPE_CHECKING:
    from mailmig.lab.directory.forest import Forest

EXCHANGE_GROUPS: Final = "Microsoft Exchange Security Groups"
SERVERS, TRUSTED = "Exchange Servers", "Exchange Trusted Subsystem"
_GLOBAL_SECURITY_GROUP: Final = -2_147_483_646
_WORKSTATION, _CONTROLLER = 4096, 532_480
_DOMAIN_COMPUTERS, _DOMAIN_CONTROLLERS = 515, 516
# The groups of Exchange that each of its servers is in, with their relative ids.
OF_SERVERS: Final = {SERVERS: sids.EXCHANGE_SERVERS, TRUSTED: sids.EXCHANGE_SERVERS + 1}
# Where relative ids of groups begin that nobody sees but in a token.
_UNSEEN: Final = 7_000


def entries(forest: "Forest") -> Iterator[Plain]:
    """Built-in groups and the accounts of computers."""
    yield from _groups(forest)
    servers = [(one.name, one.name in forest.promoted) for one in forest.organisation.servers]
    controllers = [(one.name.upper(), True) for one in forest.controllers]
    for place, (name, controller) in enumerate((*servers, *controllers)):
        exchange = place < len(servers)
        groups = [g for g in OF_SERVERS if exchange and (g, name) not in forest.not_members]
        primary = _DOMAIN_CONTROLLERS if controller else _DOMAIN_COMPUTERS
        token = [primary, *(OF_SERVERS[group] for group in groups)]
        token += range(_UNSEEN, _UNSEEN + forest.more_groups.get(name, 0))
        values = {
            "sAMAccountName": text(f"{name}$"), "objectSid": [sids.computer_sid(place)],
            "dNSHostName": text(f"{name.lower()}.{forest.organisation.domain}"),
            "userAccountControl": number(_CONTROLLER if controller else _WORKSTATION),
            "primaryGroupID": number(primary),
            "memberOf": [_group_dn(forest, group).encode() for group in groups],
            "tokenGroups": [sids.in_domain(rid) for rid in token],
        }  # fmt: skip
        classes = ("person", "organizationalPerson", "user", "computer")
        yield plain(forest, _dn(forest, name), classes, values)


def _dn(forest: "Forest", name: str) -> str:
    """Servers of Exchange stay where they are, even if somebody makes controllers of them."""
    controller = any(one.name.upper() == name for one in forest.controllers)
    return forest.computer_dn(name, controller=controller)


def _group_dn(forest: "Forest", name: str) -> str:
    return f"CN={rdn(name)},OU={EXCHANGE_GROUPS},{forest.base}"


def _groups(forest: "Forest") -> Iterator[Plain]:
    for name, rid in (
        ("Domänen-Admins", sids.DOMAIN_ADMINS), ("Domänen-Benutzer", sids.DOMAIN_USERS),
    ):  # fmt: skip
        dn = f"CN={name},CN=Users,{forest.base}"
        yield plain(forest, dn, ("group",), _group(name, rid, _GLOBAL_SECURITY_GROUP, []))
    for name, rid in OF_SERVERS.items():
        members = [
            forest.computer_dn(server.name, controller=False).encode()
            for server in forest.organisation.servers
            if (name, server.name) not in forest.not_members
        ]
        values = _group(name, rid, UNIVERSAL_SECURITY_GROUP, members)
        yield plain(forest, _group_dn(forest, name), ("group",), values)


def _group(name: str, rid: int, kind: int, members: Values) -> dict[str, Values]:
    return {
        "sAMAccountName": text(name), "groupType": number(kind), "member": members,
        "objectSid": [sids.in_domain(rid)],
    }  # fmt: skip
