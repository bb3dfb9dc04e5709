"""The cookies of one session context (notes 1.4, MS-OXCMAPIHTTP 3.1.5.1).

Names are the server's own (`MapiContext` and `MapiSequence` in Microsoft's example, `sid` and
`sequence` in gromox), and proxies add theirs: all are kept, and all are sent back. One jar per
session context; never mix the jars of mailbox and address book, nor of two mailboxes. Since a
jar belongs to one endpoint of one host, path and domain of a cookie are not looked at.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mailmig.wire.mapihttp.octets import BadMapi

MOST: Final = 50
LONGEST: Final = 8192  # characters of one header line
_WHAT: Final = "MAPI/HTTP cookies"
_FORBIDDEN: Final = frozenset(map(chr, range(0x20))) | {"\x7f", ";"}


@dataclass(frozen=True, slots=True)
class Jar:
    """Names and values, in the order in which they first came."""

    cookies: tuple[tuple[str, str], ...] = ()

    @property
    def header(self) -> str:
        """The value of the request's `Cookie` header; empty when there is nothing to send."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies)

    def get(self, name: str) -> str | None:
        return dict(self.cookies).get(name)

    def after(self, set_cookies: Iterable[str]) -> "Jar":
        """The jar after a response with these `Set-Cookie` values.

        New values replace old ones; `Max-Age` of 0 or less takes the cookie away.

        Raises:
            BadMapi: a value is no cookie, is too long, or there are too many.
        """
        jar = dict(self.cookies)
        for line in set_cookies:
            pair, *attributes = _bounded(line).split(";")
            name, value = _pair(pair)
            if any(map(_is_ended, attributes)):
                jar.pop(name, None)
            else:
                jar[name] = value
            if len(jar) > MOST:
                raise BadMapi(_WHAT, f"there are more than {MOST}")
        return Jar(tuple(jar.items()))


def read_cookie(header: str) -> Jar:
    """The server's half: what a `Cookie` header carries; of two with one name the last counts.

    Raises:
        BadMapi: it is too long, a part has no "=", or there are too many.
    """
    pairs = [_pair(part) for part in _bounded(header).split(";") if part.strip()]
    if len(pairs) > MOST:
        raise BadMapi(_WHAT, f"there are more than {MOST}")
    return Jar(tuple(dict(pairs).items()))


def set_cookie(name: str, value: str, path: str = "/mapi/") -> str:
    """The server's half: one `Set-Cookie` value.

    Raises:
        BadMapi: name or value would break the header.
    """
    if not name or "=" in name or _FORBIDDEN & set(name + value + path):
        raise BadMapi(_WHAT, f"{name[:40]!r} with the value {value[:40]!r} is no cookie")
    return f"{name}={value}; path={path}; secure; HttpOnly"


def _bounded(line: str) -> str:
    if len(line) > LONGEST:
        raise BadMapi(_WHAT, f"a header has {len(line):,} characters; {LONGEST:,} are read")
    return line


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    name, value = name.strip(), value.strip()
    if not equals or not name or _FORBIDDEN & set(name + value):
        raise BadMapi(_WHAT, f"{text[:40]!r} is no name=value")
    return name, value


def _is_ended(attribute: str) -> bool:
    name, _, value = attribute.partition("=")
    value = value.strip()
    return name.strip().lower() == "max-age" and (value.startswith("-") or value.strip("0") == "")
