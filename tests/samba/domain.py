"""The lab's town as LDIF for Samba: the schema's extension, then everything that the lab holds.

Samba knows Active Directory's own schema and nothing of Exchange: attributes and classes that
it lacks are added with OIDs of nobody (real ones say nothing more to it). Their order matters:
attributes, classes, then what users and every object may have; in between the schema is told to
read itself anew. Content comes with the lab's GUIDs and SIDs, which the control "relax" allows
to whoever writes into the database file itself, so that both directories tell the same.

What Samba makes by itself is left to it: back links, the controller, the built-in groups.
"""

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import NAMESPACE_OID, uuid5

from mailmig.lab.directory import Forest
from mailmig.lab.directory.forest import AnyEntry
from mailmig.lab.directory.syntaxes import SPELLINGS, SYNTAXES, Syntax, folded
from mailmig.model.secret import Secret
from mailmig.wire.security_descriptor import sid_text

_OID: Final = "1.3.6.1.4.1.99999.7"
# attributeSyntax and oMSyntax (MS-ADTS 3.1.1.2.2.2).
_KINDS: Final = {
    Syntax.TEXT: ("2.5.5.12", 64), Syntax.DN: ("2.5.5.1", 127), Syntax.NUMBER: ("2.5.5.9", 2),
    Syntax.TRUTH: ("2.5.5.8", 1), Syntax.BYTES: ("2.5.5.10", 4), Syntax.SID: ("2.5.5.17", 4),
    Syntax.TIME: ("2.5.5.11", 24), Syntax.DESCRIPTOR: ("2.5.5.15", 66),
}  # fmt: skip
_LARGE: Final = ("2.5.5.16", 65)
_LARGE_NUMBERS: Final = {"msexchrecipienttypedetails"}
# oMObjectClass of names: 1.3.12.2.1011.28.0.714.
_NAME_CLASS: Final = "KwwCh3McAIVK"
_SEVERAL: Final = {
    "networkaddress", "publicdelegates", "msexchdelegatelistlink", "msexchuserholdpolicies",
}  # fmt: skip
# Each link and its other end, which Samba keeps by itself.
_LINKS: Final = {
    "homemdb": "homemdbbl", "publicdelegates": "publicdelegatesbl",
    "msexchdelegatelistlink": "msexchdelegatelistbl",
}  # fmt: skip
_FIRST_LINK: Final = 41_000
# What Samba makes, or takes from elsewhere.
_ITS_OWN: Final = {
    "distinguishedname", "objectcategory", "name", "cn", "ou", "dc", "memberof", "primarygroupid", "tokengroups",
    "whencreated", "whenchanged", "ntsecuritydescriptor", *_LINKS.values(),
}  # fmt: skip
_SAMBAS_RIDS_END: Final = 1000
# As Active Directory's own classes: admins may do all, everybody who logged on may read.
_READABLE: Final = (
    "D:(A;;RPWPCRCCDCLCLORCWOWDSDDTSW;;;DA)(A;;RPWPCRCCDCLCLORCWOWDSDDTSW;;;SY)(A;;RPLCLORC;;;AU)"
)
_ENABLED, _NO_PASSWORD = 512, 32
RELAX: Final = "relax:0"
REREAD: Final = "dn:\nchangetype: modify\nadd: schemaUpdateNow\nschemaUpdateNow: 1\n\n"


@dataclass(frozen=True, slots=True)
class Known:
    """What a fresh Samba holds: its schema's names and its objects' names, in small letters."""

    schema: frozenset[str]
    objects: frozenset[str]


@dataclass(frozen=True, slots=True)
class Login:
    """An account that logs on; `services` are the names under which tickets for it are given."""

    name: str
    password: Secret
    services: tuple[str, ...] = ()


def attributes(forest: Forest, known: Known) -> str:
    """What the schema lacks of the lab's attributes."""
    return "".join(
        _attribute(forest, number, name)
        for number, name in enumerate(sorted(SYNTAXES))
        if name not in known.schema
    )


def _attribute(forest: Forest, number: int, name: str) -> str:
    syntax = SYNTAXES[name]
    code, om = _LARGE if name in _LARGE_NUMBERS else _KINDS[syntax]
    spelt = SPELLINGS[name]
    back = name in _LINKS.values()
    lines = [
        f"dn: CN={spelt},{forest.schema}", "objectClass: top", "objectClass: attributeSchema",
        f"attributeID: {_OID}.1.{number}", f"lDAPDisplayName: {spelt}",
        f"attributeSyntax: {code}", f"oMSyntax: {om}",
        f"isSingleValued: {str(not back and name not in _SEVERAL).upper()}",
        f"schemaIDGUID:: {_base64(uuid5(NAMESPACE_OID, name).bytes_le)}", "searchFlags: 0",
    ]  # fmt: skip
    if syntax is Syntax.DN:
        lines.append(f"oMObjectClass:: {_NAME_CLASS}")
    for place, (link, other) in enumerate(_LINKS.items()):
        if name in (link, other):
            lines.append(f"linkID: {_FIRST_LINK * 2 + 2 * place + (name == other)}")
    if back:
        lines.append("systemFlags: 1")  # not replicated
    return "\n".join(lines) + "\n\n"


def classes(forest: Forest, known: Known) -> tuple[str, str]:
    """What the schema lacks of the lab's classes: first those below known ones, then the others.

    Each may have anything.
    """
    above = _missing_classes(forest, known)
    may = sorted(name for name in SYNTAXES if name not in _ITS_OWN)
    text = ["", ""]
    for number, (name, of) in enumerate(above.items()):
        lines = [
            f"dn: CN={name},{forest.schema}", "objectClass: top", "objectClass: classSchema",
            f"governsID: {_OID}.2.{number}", f"lDAPDisplayName: {name}", f"subClassOf: {of}",
            "objectClassCategory: 1", "rDNAttID: cn", "possSuperiors: container",
            f"schemaIDGUID:: {_base64(uuid5(NAMESPACE_OID, name).bytes_le)}",
            f"defaultObjectCategory: CN={name},{forest.schema}",
            f"defaultSecurityDescriptor: {_READABLE}",
            *(f"mayContain: {SPELLINGS[attribute]}" for attribute in may),
        ]  # fmt: skip
        text[of in above] += "\n".join(lines) + "\n\n"
    return text[0], text[1]


def _missing_classes(forest: Forest, known: Known) -> dict[str, str]:
    """Each new class and the one above it."""
    chains = {tuple(_words(entry, "objectclass")): None for entry in _entries(forest)}
    above = {name: chain[at] for chain in chains for at, name in enumerate(chain[1:])}
    return {name: of for name, of in above.items() if name.lower() not in known.schema}


def allowances(forest: Forest, known: Known) -> str:
    """Users and groups may have what is new, objects of new classes may stand anywhere among
    themselves, and every object may be the other end of a link."""
    missing = list(_missing_classes(forest, known))
    new = [SPELLINGS[name] for name in sorted(SYNTAXES) if name not in known.schema]
    ends = [name for name in new if name.lower() in _LINKS.values()]
    others = [name for name in new if name not in ends]
    changes = [("User", "mayContain", others), ("Group", "mayContain", others),
               ("Top", "mayContain", ends)]  # fmt: skip
    changes += [(name, "possSuperiors", missing) for name in missing]
    return "".join(
        f"dn: CN={kind},{forest.schema}\nchangetype: modify\nadd: {what}\n"
        + "".join(f"{what}: {name}\n" for name in names)
        + "\n"
        for kind, what, names in changes
    )


def content(forest: Forest, known: Known) -> tuple[str, str]:
    """The objects, those above first; and the links between them, to be set afterwards."""
    entries = [entry for entry in _entries(forest) if folded(entry.dn) not in known.objects]
    entries.sort(key=lambda entry: entry.dn.replace("\\,", "").count(","))
    links: list[str] = []
    text = ""
    for entry in entries:
        sid = next(iter(entry.get("objectsid")), b"")
        if sid and int.from_bytes(sid[-4:], "little") < _SAMBAS_RIDS_END:
            continue
        text += _object(entry)
        links += _links(entry)
    return text, "".join(links)


def _object(entry: AnyEntry) -> str:
    lines = [_named("dn", entry.dn.encode())]
    for name in entry.names():
        if name in _ITS_OWN or SYNTAXES.get(name) is Syntax.DN:
            continue
        for value in entry.get(name):
            if name == "useraccountcontrol":  # nobody has a password here
                value = b"%d" % (int(value) | _NO_PASSWORD)
            if SYNTAXES.get(name) is Syntax.SID:  # ldbadd takes no others
                value = sid_text(value).encode()
            lines.append(_named(SPELLINGS[name], value))
    if entry.get("objectsid"):
        lines.append(_named("nTSecurityDescriptor", entry.descriptor(7)))
    return "\n".join(lines) + "\n\n"


def _links(entry: AnyEntry) -> Iterator[str]:
    """Names of other objects, which have to be there first."""
    head = _named("dn", entry.dn.encode()) + "\nchangetype: modify\n"
    for name in entry.names():
        if name in _ITS_OWN or SYNTAXES.get(name) is not Syntax.DN:
            continue
        values = dict.fromkeys(entry.get(name))
        if values:
            spelt = SPELLINGS[name]
            lines = "".join(_named(spelt, value) + "\n" for value in values)
            yield f"{head}add: {spelt}\n{lines}-\n\n"


def logins(forest: Forest, accounts: Iterable[Login]) -> str:
    """Accounts with passwords, below Users."""
    text = ""
    for account in accounts:
        quoted = f'"{account.password.reveal()}"'.encode("utf-16-le")
        lines = [
            f"dn: CN={account.name},CN=Users,{forest.base}", "objectClass: user",
            f"sAMAccountName: {account.name}",
            f"userPrincipalName: {account.name}@{forest.organisation.domain}",
            f"userAccountControl: {_ENABLED}", f"unicodePwd:: {_base64(quoted)}",
            *(f"servicePrincipalName: {name}" for name in account.services),
        ]  # fmt: skip
        text += "\n".join(lines) + "\n\n"
    return text


def crowd(forest: Forest, count: int) -> str:
    """A group of many members, and as many contacts."""
    contacts = [f"CN=Kontakt {number},CN=Users,{forest.base}" for number in range(count)]
    text = "".join(f"dn: {dn}\nobjectClass: contact\n\n" for dn in contacts)
    members = "".join(f"member: {dn}\n" for dn in contacts)
    return f"{text}dn: {crowd_dn(forest)}\nobjectClass: group\nsAMAccountName: G-Menge\n{members}\n"


def crowd_dn(forest: Forest) -> str:
    return f"CN=Menge,CN=Users,{forest.base}"


def _entries(forest: Forest) -> list[AnyEntry]:
    return [
        entry
        for context in (forest.base, forest.configuration)
        for entry in forest.entries(context, timedelta(0))
    ]


def _words(entry: AnyEntry, name: str) -> list[str]:
    return [value.decode() for value in entry.get(name)]


def _named(name: str, value: bytes) -> str:
    return f"{name}:: {_base64(value)}"


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
