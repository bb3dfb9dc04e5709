"""What can go wrong with names: one error per thing an admin would do about it."""

from collections.abc import Collection

from mailmig.model.errors import UNREACHABLE, MailmigError
from mailmig.model.names import NameAnswer


class BadName(MailmigError):
    """Something that cannot be a name or an address in DNS: look at the spelling."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"{text!r}: {reason}")
        self.text = text
        self.reason = reason


class NameServerUnreachable(MailmigError):
    """Nobody answered: look at the network, the firewall (port 53, UDP and TCP) or the service."""

    exit_code = UNREACHABLE

    def __init__(self, server: str, place: str, reason: str) -> None:
        where = server if place.startswith(f"{server}:") else f"{server} ({place})"
        super().__init__(
            f"name server {where}: {reason}; look at the network, the firewall "
            "(port 53, UDP and TCP) and the DNS service there"
        )
        self.server = server
        self.place = place
        self.reason = reason


class QuestionRefused(MailmigError):
    """The server answers, but not this: it does not hold the zone, or not for us."""

    def __init__(self, server: str, name: str, kind: str) -> None:
        super().__init__(
            f"name server {server} refuses the question for {name} {kind}: it does not hold that "
            "zone, or does not answer to this machine; ask one that does, or let it answer"
        )
        self.server = server
        self.name = name
        self.kind = kind


class NoSuchName(MailmigError):
    """The name does not exist at this server: look at the spelling, or create it."""

    def __init__(self, answer: NameAnswer) -> None:
        super().__init__(
            f"name server {answer.server} knows no name {answer.name}; "
            "look at the spelling, or create it there"
        )
        self.answer = answer


class NoSuchRecord(MailmigError):
    """The name exists, but has no record of this type: create the record."""

    def __init__(self, answer: NameAnswer) -> None:
        at = answer.records[-1].value.rstrip(".") if answer.records else answer.name
        alias = f" (alias of {at})" if at != answer.name else ""
        super().__init__(
            f"{answer.name}{alias} has no {answer.type} record at name server {answer.server}; "
            "create the record there"
        )
        self.answer = answer


class BrokenAnswer(MailmigError):
    """The server answered what cannot be used: look at its log and its version."""

    def __init__(self, server: str, name: str, reason: str) -> None:
        super().__init__(
            f"name server {server} gave no usable answer for {name}: {reason}; look at its log"
        )
        self.server = server
        self.name = name
        self.reason = reason


class BadKey(MailmigError):
    """A key that cannot sign anything: look at what the configuration says about it."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the key {key} cannot be used: its secret is no base64, or its algorithm is unknown; "
            "copy both from the name server's configuration"
        )
        self.key = key


class KeyRefused(MailmigError):
    """The server does not accept the key: compare name, secret, algorithm and clock."""

    def __init__(self, server: str, key: str, reason: str) -> None:
        super().__init__(f"name server {server} does not accept the key {key}: {reason}")
        self.server = server
        self.key = key
        self.reason = reason


class ChangeRefused(MailmigError):
    """The key is good but may not do this: let it change this name at the server."""

    def __init__(self, server: str, name: str, key: str, said: str) -> None:
        super().__init__(
            f"name server {server} does not let the key {key} change {name} ({said}); "
            "nothing was changed: give the key the right to change this name"
        )
        self.server = server
        self.name = name
        self.key = key
        self.said = said


class SetChanged(MailmigError):
    """Somebody else changed the records since we looked: look again and decide again."""

    def __init__(self, server: str, name: str, kind: str, seen: Collection[str]) -> None:
        super().__init__(
            f"the {kind} records of {name} at name server {server} are no longer "
            f"{', '.join(seen) or 'absent'}; nothing was changed: look again and decide again"
        )
        self.server = server
        self.name = name
        self.kind = kind
        self.seen = tuple(seen)


class WouldLeaveNothing(MailmigError):
    """A removal after which the name would not lead to the server that is to carry the work."""

    def __init__(self, name: str, address: str, keep: str, seen: Collection[str]) -> None:
        super().__init__(
            f"{address} stays in {name}: {keep} must remain, and the set is "
            f"{', '.join(seen) or 'empty'}; publish {keep} first"
        )
        self.name = name
        self.address = address
        self.keep = keep
        self.seen = tuple(seen)


class ChangeNotSeen(MailmigError):
    """The server took the change but does not show it: look at that server before going on."""

    def __init__(self, server: str, name: str, shown: Collection[str], why: str) -> None:
        super().__init__(
            f"name server {server} took the change of {name} but {why}; "
            f"it shows {', '.join(shown) or 'nothing'}: look there before going on"
        )
        self.server = server
        self.name = name
        self.shown = tuple(shown)
        self.why = why


class ChangeUnknown(MailmigError):
    """The change was sent and no answer came: look at the records before anything else."""

    exit_code = UNREACHABLE

    def __init__(self, server: str, name: str, reason: str) -> None:
        super().__init__(
            f"whether name server {server} changed {name} is not known ({reason}); "
            "look at the records there before going on"
        )
        self.server = server
        self.name = name
        self.reason = reason
