"""How a session's culture writes sizes and names.

What an Exchange session prints in another culture than en-US is not established
(migration.md 1.1): the German forms are hypothetical, here to test that readers do not
depend on the English ones.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mailmig.model.quota import Quota

_UNITS: Final = ("B", "KB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class Culture:
    """A culture's separators and words.

    `myself` is the account that everybody's own rights name, `system` the machine's,
    `admins` the domain's group of administrators.
    """

    name: str
    group: str
    decimal: str
    bytes_word: str
    myself: str
    system: str
    admins: str

    def size(self, number: int) -> str:
        """A size as Exchange prints it: "1.899 GB (2,039,480,320 bytes)", at most 4 digits in front."""
        return _size(self, number)

    def quota(self, quota: Quota) -> str:
        """A limit as Exchange prints it, "Unlimited" where there is none."""
        return _size(self, quota) if isinstance(quota, int) else "Unlimited"


@lru_cache(maxsize=4096)
def _size(culture: Culture, number: int) -> str:
    unit = min(len(_UNITS) - 1, max(0, (number.bit_length() - 1) // 10))
    value = number / 1024**unit
    short = f"{value:.4g}" if value < 9999.5 else f"{value:.0f}"
    if culture.decimal != ".":
        short = short.replace(".", culture.decimal)
    exact = f"{number:,}"
    if culture.group != ",":
        exact = exact.replace(",", culture.group)
    return f"{short} {_UNITS[unit]} ({exact} {culture.bytes_word})"


ENGLISH: Final = Culture(
    "en-US", ",", ".", "bytes", r"NT AUTHORITY\SELF", r"NT AUTHORITY\SYSTEM", "Domain Admins"
)
GERMAN: Final = Culture(
    "de-DE", ".", ",", "Bytes", r"NT-AUTORITÄT\SELBST", r"NT-AUTORITÄT\SYSTEM", "Domänen-Admins"
)
CULTURES: Final = {culture.name: culture for culture in (ENGLISH, GERMAN)}
