"""Search filters: what sansldap parsed becomes one function that tells yes, no or undefined.

Three values, as RFC 4511 4.5.1.7 and MS-ADTS 3.1.1.3.1.3 want: a comparison with an
attribute that the schema does not know, or with a value that cannot be one of its syntax, is
undefined (`None`), "not" of it too, and only a clear yes puts an entry into the answer. An
attribute that an entry merely lacks compares as no, so `(!(department=x))` finds it.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import sansldap

from mailmig.lab.directory.syntaxes import SYNTAXES, Syntax, folded
from mailmig.wire.security_descriptor import BadDescriptor, sid_bytes

BIT_AND: Final = "1.2.840.113556.1.4.803"
BIT_OR: Final = "1.2.840.113556.1.4.804"
IN_CHAIN: Final = "1.2.840.113556.1.4.1941"


class Entry(Protocol):
    """An object of the directory as a filter sees it; `get` takes small letters."""

    def get(self, name: str) -> Iterable[bytes]: ...


Verdict = bool | None
Test = Callable[[Entry], Verdict]
# The values of an attribute (small letters) of the object with this folded name.
Follow = Callable[[str, str], Iterable[bytes]]


def compiled(asked: sansldap.LDAPFilter, follow: Follow, category: Callable[[str], str]) -> Test:
    """The test that a filter stands for.

    `follow` gives values of other objects, for the in-chain rule; `category` gives the
    distinguished name of a class that `objectCategory` may name in short.
    """
    build = _Builder(follow, category)
    return build.test(asked)


class _Builder:
    def __init__(self, follow: Follow, category: Callable[[str], str]) -> None:
        self._follow = follow
        self._category = category

    def test(self, asked: sansldap.LDAPFilter) -> Test:
        if isinstance(asked, sansldap.FilterAnd):
            return _all([self.test(one) for one in asked.filters])
        if isinstance(asked, sansldap.FilterOr):
            return _any([self.test(one) for one in asked.filters])
        if isinstance(asked, sansldap.FilterNot):
            return _not(self.test(asked.filter))
        if isinstance(asked, sansldap.FilterPresent):
            return _present(asked.attribute.lower())
        if isinstance(asked, sansldap.FilterExtensibleMatch):
            return self._by_rule(asked)
        if isinstance(asked, sansldap.FilterEquality | sansldap.FilterApproxMatch):
            return self._equal(asked.attribute.lower(), asked.value)
        if isinstance(asked, sansldap.FilterSubstrings):
            return _like(asked)
        if isinstance(asked, sansldap.FilterGreaterOrEqual):
            return _ordered(asked.attribute.lower(), asked.value, greater=True)
        if isinstance(asked, sansldap.FilterLessOrEqual):
            return _ordered(asked.attribute.lower(), asked.value, greater=False)
        return _undefined

    def _equal(self, name: str, value: bytes) -> Test:
        syntax = SYNTAXES.get(name)
        if name == "objectcategory" and b"=" not in value:
            value = self._category(value.decode("utf-8", "replace")).encode()
        wanted = _key(syntax, value) if syntax else None
        if syntax is None or wanted is None:
            return _undefined
        if isinstance(wanted, bytes):
            return lambda entry: wanted in entry.get(name)
        if syntax is Syntax.TEXT:
            return lambda entry: any(one.decode().lower() == wanted for one in entry.get(name))
        return lambda entry: any(_key(syntax, one) == wanted for one in entry.get(name))

    def _by_rule(self, asked: sansldap.FilterExtensibleMatch) -> Test:
        name = (asked.attribute or "").lower()
        if asked.rule == IN_CHAIN:
            if SYNTAXES.get(name) is not Syntax.DN:
                return _undefined
            wanted = folded(asked.value.decode("utf-8", "replace"))
            return lambda entry: self._leads_to(entry.get(name), name, wanted)
        if asked.rule in (BIT_AND, BIT_OR) and SYNTAXES.get(name) is Syntax.NUMBER:
            mask = _number(asked.value)
            if mask is None:
                return _undefined
            if asked.rule == BIT_AND:
                return lambda entry: any(int(v) & mask == mask for v in entry.get(name))
            return lambda entry: any(int(v) & mask != 0 for v in entry.get(name))
        return _undefined

    def _leads_to(self, values: Iterable[bytes], name: str, wanted: str) -> bool:
        """Whether a chain of links of this name reaches the wanted object."""
        waiting = [folded(value.decode()) for value in values]
        seen: set[str] = set()
        while waiting:
            at = waiting.pop()
            if at == wanted:
                return True
            if at not in seen:
                seen.add(at)
                waiting += [folded(value.decode()) for value in self._follow(at, name)]
        return False


def _undefined(_: Entry) -> Verdict:
    return None


def _all(tests: list[Test]) -> Test:
    def test(entry: Entry) -> Verdict:
        verdict: Verdict = True
        for one in tests:
            found = one(entry)
            if found is False:
                return False
            if found is None:
                verdict = None
        return verdict

    return test


def _any(tests: list[Test]) -> Test:
    def test(entry: Entry) -> Verdict:
        verdict: Verdict = False
        for one in tests:
            found = one(entry)
            if found:
                return True
            if found is None:
                verdict = None
        return verdict

    return test


def _not(inner: Test) -> Test:
    def test(entry: Entry) -> Verdict:
        found = inner(entry)
        return None if found is None else not found

    return test


def _present(name: str) -> Test:
    if name not in SYNTAXES:
        return _undefined
    return lambda entry: any(True for _ in entry.get(name))


def _like(asked: sansldap.FilterSubstrings) -> Test:
    name = asked.attribute.lower()
    if SYNTAXES.get(name) is not Syntax.TEXT:
        return _undefined
    parts = [asked.initial or b"", *asked.any, asked.final or b""]
    texts = [re.escape(part.decode("utf-8", "replace").lower()) for part in parts]
    pattern = re.compile(".*".join(texts), re.DOTALL)
    return lambda entry: any(pattern.fullmatch(v.decode().lower()) for v in entry.get(name))


def _ordered(name: str, value: bytes, *, greater: bool) -> Test:
    syntax = SYNTAXES.get(name)
    if syntax is Syntax.NUMBER:
        limit = _number(value)
        if limit is None:
            return _undefined
        if greater:
            return lambda entry: any(int(v) >= limit for v in entry.get(name))
        return lambda entry: any(int(v) <= limit for v in entry.get(name))
    if syntax in (Syntax.TEXT, Syntax.TIME):
        bound = value.decode("utf-8", "replace").lower()
        if greater:
            return lambda entry: any(v.decode().lower() >= bound for v in entry.get(name))
        return lambda entry: any(v.decode().lower() <= bound for v in entry.get(name))
    return _undefined


def _key(syntax: Syntax | None, value: bytes) -> object:
    """What is compared; None for a value that cannot be one of this syntax."""
    if syntax in (Syntax.BYTES, Syntax.DESCRIPTOR):
        return value
    if syntax is Syntax.SID:
        return _sid(value)
    text = value.decode("utf-8", "replace")
    if syntax is Syntax.NUMBER:
        return _number(value)
    if syntax is Syntax.DN:
        return folded(text)
    if syntax is Syntax.TRUTH:
        return text if text in ("TRUE", "FALSE") else None
    return text.lower()


def _number(value: bytes) -> int | None:
    return int(value) if re.fullmatch(rb"[+-]?[0-9]{1,20}", value) else None


def _sid(value: bytes) -> bytes | None:
    if value[:2].upper() != b"S-":
        return value
    try:
        return sid_bytes(value.decode("ascii", "replace"))
    except BadDescriptor:
        return None
