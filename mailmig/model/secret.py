"""Secrets: values that are used and never shown."""

from typing import NoReturn

MASK = "***"


class Secret:
    """A password or token. Its text comes out only through `reveal`.

    `repr`, `str`, formatting and logging give `***`; it can be neither pickled nor
    copied into a journal.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself: pass it on at once, never keep or print it."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")
