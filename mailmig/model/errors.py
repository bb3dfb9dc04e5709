"""One error per thing an admin would do about it.

An error carries its facts as attributes and builds its own sentence from them: what,
where, what to do. `exit_code` is what the command line ends with: 2 for a request that
cannot be carried out as it was made, 3 for something that cannot be reached.
"""

from collections.abc import Iterable
from difflib import get_close_matches

USAGE = 2
UNREACHABLE = 3


class MailmigError(Exception):
    """Something an admin can mend; the text is one sentence for him."""

    exit_code = USAGE


class MissingExtra(MailmigError):
    """A part of mailmig that was not installed: install the extra that is named."""

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the extra {extra!r}: pip install 'mailmig[{extra}]'")
        self.extra = extra
        self.purpose = purpose


class BadFile(MailmigError):
    """A file that cannot be used: look at the file and the place in it that is named."""

    def __init__(self, file: object, reason: str, where: str = "") -> None:
        place = f"{file}, {where}" if where else f"{file}"
        super().__init__(f"{place}: {reason}")
        self.file = str(file)
        self.where = where
        self.reason = reason


def nearest(word: str, known: Iterable[str]) -> str:
    """The hint for a misspelt word: ` (did you mean "x"?)`, or nothing when none is near."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f' (did you mean "{near[0]}"?)' if near else ""
