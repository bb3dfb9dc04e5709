"""The SIDs of the simulated domain, and the security descriptors that are made of them."""

from typing import Final

from mailmig.lab.organisation import Organisation
from mailmig.lab.population import Principal
from mailmig.wire.security_descriptor import (
    ALLOW,
    ALLOW_OBJECT,
    CONTROL_ACCESS,
    DENY,
    DENY_OBJECT,
    FULL_ACCESS,
    INHERITED,
    SELF,
    SEND_AS,
    Descriptor,
    Entry,
    sid_bytes,
    write,
)  # fmt: skip

# The domain whose SIDs the story's orphans have, and the forest of the linked accounts.
DOMAIN: Final = "S-1-5-21-1004336348-1177238915-682003330"
LINKED_FOREST: Final = "S-1-5-21-3004336348-277238915-1882003330"

DOMAIN_ADMINS, DOMAIN_USERS, EXCHANGE_SERVERS = 512, 513, 1119
_OTHER_ACCOUNTS, _GROUPS, _COMPUTERS, _MAILBOXES = 2_000, 5_000_000, 1_500, 100_000

# Masks: full control of an object; reading one; the external owner of a linked mailbox.
_FULL_CONTROL: Final = 0xF01FF
_READ: Final = 0x20014
_READ_PERMISSION: Final = 0x20000
_EXTERNAL: Final = 0x4
_CONTAINER_INHERIT: Final = 0x2
_SUCCESS_AUDIT: Final = 0x40
_AUDIT: Final = 0x02
_EVERYONE: Final = sid_bytes("S-1-1-0")
_SYSTEM: Final = sid_bytes("S-1-5-18")

# The parts of LDAP_SERVER_SD_FLAGS (MS-ADTS 3.1.1.3.4.1.11).
OWNER_PART, GROUP_PART, DACL_PART, SACL_PART = 1, 2, 4, 8


def in_domain(rid: int) -> bytes:
    """The SID with this relative id in the simulated domain."""
    return sid_bytes(f"{DOMAIN}-{rid}")


def mailbox_sid(number: int) -> bytes:
    """The SID of the account behind a mailbox; it stays when the account is gone."""
    return in_domain(_MAILBOXES + number)


def linked_sid(number: int) -> bytes:
    """The SID of the account in another forest that owns a linked mailbox."""
    return sid_bytes(f"{LINKED_FOREST}-{_MAILBOXES + number}")


def group_sid(place: int) -> bytes:
    """The SID of the group at this place in the organisation's principals."""
    return in_domain(_GROUPS + place)


def account_sid(place: int) -> bytes:
    """The SID of an account without a mailbox."""
    return in_domain(_OTHER_ACCOUNTS + place)


def computer_sid(place: int) -> bytes:
    """The SID of a server's account."""
    return in_domain(_COMPUTERS + place)


def trustee_sid(organisation: Organisation, number: int) -> bytes:
    """The SID behind a trustee's number: a mailbox, a group, or a SID of nobody."""
    if number >= 0:
        return mailbox_sid(number)
    place = -1 - number
    principal: Principal = organisation.principals[place]
    return group_sid(place) if principal.is_group else sid_bytes(principal.text)


ADMINS: Final = in_domain(DOMAIN_ADMINS)
_SERVERS: Final = in_domain(EXCHANGE_SERVERS)

# What every account's own entry says before anybody grants anything: admins have full
# control, the account may send as itself; Exchange and the admins come in from above.
_OBJECT_OWN: Final = (
    Entry(ALLOW, 0, _FULL_CONTROL, ADMINS),
    Entry(ALLOW, 0, _FULL_CONTROL, _SYSTEM),
    Entry(ALLOW, 0, _READ, SELF),
    Entry(ALLOW_OBJECT, 0, CONTROL_ACCESS, SELF, SEND_AS),
)
_OBJECT_ABOVE: Final = (
    Entry(DENY_OBJECT, INHERITED | _CONTAINER_INHERIT, CONTROL_ACCESS, ADMINS, SEND_AS),
    Entry(ALLOW_OBJECT, INHERITED | _CONTAINER_INHERIT, CONTROL_ACCESS, _SERVERS, SEND_AS),
    Entry(ALLOW, INHERITED | _CONTAINER_INHERIT, _FULL_CONTROL, _SERVERS),
)
_SACL: Final = (Entry(_AUDIT, _SUCCESS_AUDIT | INHERITED, _FULL_CONTROL, _EVERYONE),)
_MAILBOX_OWN: Final = (Entry(ALLOW, _CONTAINER_INHERIT, FULL_ACCESS | _READ_PERMISSION, SELF),)
_MAILBOX_ABOVE: Final = (
    Entry(DENY, INHERITED | _CONTAINER_INHERIT, FULL_ACCESS, ADMINS),
    Entry(ALLOW, INHERITED | _CONTAINER_INHERIT, FULL_ACCESS, _SERVERS),
)


def object_descriptor(send_as: list[bytes], parts: int) -> bytes:
    """The nTSecurityDescriptor of an account; `parts` as LDAP_SERVER_SD_FLAGS asks for."""
    granted = tuple(
        Entry(ALLOW_OBJECT, 0, CONTROL_ACCESS, sid, SEND_AS) for sid in dict.fromkeys(send_as)
    )
    return write(
        Descriptor(
            ADMINS if parts & OWNER_PART else None,
            ADMINS if parts & GROUP_PART else None,
            _OBJECT_OWN + granted + _OBJECT_ABOVE if parts & DACL_PART else None,
            _SACL if parts & SACL_PART else None,
        )
    )


def mailbox_descriptor(full_access: list[bytes], external: bytes | None) -> bytes:
    """The msExchMailboxSecurityDescriptor; `external` owns the mailbox from another forest."""
    granted = tuple(
        Entry(ALLOW, _CONTAINER_INHERIT, FULL_ACCESS, sid) for sid in dict.fromkeys(full_access)
    )
    if external is not None:
        mask = FULL_ACCESS | _EXTERNAL | _READ_PERMISSION
        granted = (Entry(ALLOW, _CONTAINER_INHERIT, mask, external), *granted)
    dacl = _MAILBOX_OWN + granted + _MAILBOX_ABOVE
    return write(Descriptor(_SYSTEM, _SYSTEM, dacl))
