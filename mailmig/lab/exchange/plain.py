"""Parameter values as they come from psrpcore, as plain Python for the cmdlets.

PowerShell's text, numbers, moments and lists become those of Python; an enum or another object
with a text of its own becomes that text; a secret becomes a `Secret`. Moments stay without a
zone when the client sent them so.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from psrpcore import types

from mailmig.model.secret import Secret


def plain(value: Any) -> object:
    """One value, and all that is in it."""
    if value is None or type(value) in (bool, int, str, bytes, float):
        return value
    if isinstance(value, types.PSSecureString):
        return Secret(str(value.decrypt()))
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    for kind in (int, float, str, Decimal):
        if isinstance(value, kind):
            made: object = kind(value)
            return made
    if isinstance(value, timedelta):
        return timedelta(days=value.days, seconds=value.seconds, microseconds=value.microseconds)
    if isinstance(value, UUID):
        return UUID(int=value.int)
    if isinstance(value, Mapping):
        return {plain(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return _object(value)


def _moment(value: datetime) -> datetime:
    return datetime(
        value.year, value.month, value.day, value.hour, value.minute, value.second,
        value.microsecond, tzinfo=value.tzinfo,
    )  # fmt: skip


def _object(value: Any) -> object:
    described = getattr(value, "PSObject", None)
    text = getattr(described, "to_string", None)
    return str(text) if text is not None else value
