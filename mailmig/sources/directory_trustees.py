"""Everybody who may hold a right: SIDs and names of the domain become mailboxes and groups.

A linked mailbox belongs to an account of another forest, too (msExchMasterAccountSid); on
shared mailboxes that attribute is SELF, which is nobody in particular. Old SIDs
(sIDHistory) still open doors. The members of a primary group stand nowhere but on
themselves (primaryGroupID).
"""

from collections.abc import Collection, Iterable
from typing import Final

from mailmig.model.directory import Group, TrusteeKind
from mailmig.sources.directory_values import Values, canonical, first, key
from mailmig.wire.security_descriptor import SELF, BadDescriptor, sid_text

# The question for everybody with a SID and no mailbox, and what is asked of each.
OTHERS: Final = "(&(objectSid=*)(!(msExchMailboxGuid=*)))"
PRINCIPAL: Final = (
    "objectSid", "objectGUID", "sAMAccountName", "groupType", "member", "msExchMailboxGuid",
    "msExchMasterAccountSid", "primaryGroupID", "sIDHistory", "objectClass",
    "msExchRecipientTypeDetails",
)  # fmt: skip

# Types of recipients that may carry the GUID of a mailbox which lies elsewhere: contacts, mail users.
ELSEWHERE: Final = frozenset({64, 128})

# The kind, the GUID where it is a mailbox or a group, and the text.
Trustee = tuple[TrusteeKind, str, str]
# Bytes of a domain's SID (S-1-5-21-a-b-c), and of one in it.
_DOMAIN_SID: Final = 8 + 4 * 4
_ACCOUNT_SID: Final = 8 + 5 * 4


class Trustees:
    """The domain's accounts and groups, by SID and by distinguished name."""

    def __init__(self, netbios: str) -> None:
        self._netbios = netbios
        self._by_sid: dict[bytes, Trustee] = {}
        self._by_dn: dict[str, Trustee] = {}
        self._by_text: dict[str, Trustee] = {}
        self._members: dict[str, list[str]] = {}
        self._names: dict[str, str] = {}
        self._primary: dict[int, list[str]] = {}
        self._group_rids: dict[str, int] = {}
        self._domain = b""

    def __len__(self) -> int:
        return len(self._by_sid)

    def learn(self, values: Values) -> bool:
        """Take one object; True for a group of whose members only a part came."""
        sid = values.bytes("objectSid")
        if len(sid) == _DOMAIN_SID and b"domainDNS" in values.raw.get("objectClass", ()):
            self._domain = sid
            return False
        account = values.text("sAMAccountName")
        text = f"{self._netbios}\\{account}" if self._netbios and account else account
        away = values.number("msExchRecipientTypeDetails") in ELSEWHERE
        guid = "" if away else values.guid("msExchMailboxGuid")
        dn = key(values.dn)
        if guid:
            kind = TrusteeKind.MAILBOX
        elif values.has("groupType"):
            kind, guid = TrusteeKind.GROUP, values.guid("objectGUID")
        else:
            kind = TrusteeKind.OTHER
        trustee = (kind, guid, text or _sid(sid))
        self._by_dn[dn] = trustee
        self._by_sid[sid] = trustee
        for old in values.raw.get("sIDHistory") or ():
            self._by_sid.setdefault(old, trustee)
        master = values.bytes("msExchMasterAccountSid")
        if master and master != SELF:
            self._by_sid.setdefault(master, trustee)
        primary = values.number("primaryGroupID")
        if primary is not None and kind is TrusteeKind.MAILBOX:
            self._primary.setdefault(primary, []).append(guid)
        return kind is TrusteeKind.GROUP and self._learn_group(values, guid, sid)

    def _learn_group(self, values: Values, guid: str, sid: bytes) -> bool:
        self._names[guid] = values.dn
        self._group_rids[guid] = int.from_bytes(sid[-4:], "little")
        self._members[guid] = values.texts("member")
        return values.is_cut("member")

    def members(self, dn: str, members: list[str]) -> None:
        """All members of a group that came in parts."""
        self._members[self._by_dn[key(dn)][1]] = members

    def by_sid(self, sid: bytes) -> Trustee:
        """Who is behind a SID: `ORPHAN` where this domain has nobody of that SID any more."""
        found = self._by_sid.get(sid)
        if found is not None:
            return found
        ours = len(sid) == _ACCOUNT_SID and self._domain and sid[2:-4] == self._domain[2:]
        kind = TrusteeKind.ORPHAN if ours else TrusteeKind.OTHER
        return (kind, "", _sid(sid))

    def by_text(self, text: str) -> Trustee | None:
        """Who is behind a name as the cmdlets print it; None where nobody here is called so."""
        if not self._by_text:
            self._by_text = {one[2].lower(): one for one in self._by_sid.values()}
        return self._by_text.get(text.lower())

    def by_name(self, dn: str) -> Trustee:
        """Who is behind a distinguished name; the text is the canonical name."""
        kind, guid, _ = self._by_dn.get(key(dn), (TrusteeKind.OTHER, "", ""))
        return (kind, guid, canonical(dn))

    def groups(self, guids: Collection[str] | None = None) -> tuple[Group, ...]:
        """These groups, or all, with the mailboxes in them."""
        wanted: Iterable[str] = self._names if guids is None else guids
        return tuple(
            Group(guid, self._name(guid), self._mailboxes(guid))
            for guid in wanted
            if guid in self._names
        )

    def _name(self, guid: str) -> str:
        return first(self._names[guid])

    def _mailboxes(self, guid: str) -> tuple[str, ...]:
        found: dict[str, None] = {}
        seen, waiting = {guid}, [guid]
        while waiting:
            at = waiting.pop()
            found.update(dict.fromkeys(self._primary.get(self._group_rids[at], ())))
            for member in self._members[at]:
                kind, inner, _ = self._by_dn.get(key(member), (TrusteeKind.OTHER, "", ""))
                if kind is TrusteeKind.MAILBOX:
                    found[inner] = None
                elif kind is TrusteeKind.GROUP and inner not in seen:
                    seen.add(inner)
                    waiting.append(inner)
        return tuple(found)


def _sid(sid: bytes) -> str:
    try:
        return sid_text(sid)
    except BadDescriptor:
        return sid.hex()
