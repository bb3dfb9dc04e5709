"""Short names for stored things: the first digits of a digest, as many as it takes.

A stored thing is found by its whole id, by any unique beginning of it, or by `latest` and
`previous`. Eight hex digits stay unique for a lifetime of imports; where they do not, the
newer one gets more.
"""

from collections.abc import Collection, Sequence
from typing import Final

from mailmig.model.errors import MailmigError, nearest

DIGITS: Final = 8
LATEST: Final = "latest"
PREVIOUS: Final = "previous"
_SHOWN: Final = 3


class NotStored(MailmigError):
    """A snapshot or plan that is not there: look at those that are."""

    noun = "thing"
    list_command = ""

    def __init__(self, ref: str, why: str, ids: Sequence[str]) -> None:
        known = f"; the newest are {', '.join(ids[: -_SHOWN - 1 : -1])}" if ids else ""
        rest = f"; {self.list_command} shows them all" if ids and self.list_command else ""
        super().__init__(f"{why}{known}{rest}")
        self.ref = ref


def short(digest: str, taken: Collection[str]) -> str:
    """The shortest id of at least eight digits that nobody has yet."""
    return next(
        digest[:digits] for digits in range(DIGITS, len(digest) + 1) if digest[:digits] not in taken
    )


def find(ref: str, ids: Sequence[str], error: type[NotStored]) -> str:
    """The one id that `ref` means; `ids` run from the oldest to the newest."""
    back = {LATEST: 1, PREVIOUS: 2}.get(ref)
    if back and len(ids) >= back:
        return ids[-back]
    if not ids:
        raise error(ref, f"there is no {error.noun} yet", ids)
    if back:
        raise error(ref, f"there is no {ref} {error.noun}, only one", ids)
    if ref in ids:
        return ref
    matches = [one for one in ids if ref and one.startswith(ref.lower())]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise error(ref, f"{ref!r} is the beginning of {len(matches)} {error.noun}s", ids)
    hint = nearest(ref, (*ids, LATEST, PREVIOUS))
    raise error(ref, f"there is no {error.noun} {ref!r}{hint}", ids)
