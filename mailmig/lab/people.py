"""Names of people in a German town, and what a directory makes of them.

Umlauts, ß, names from other languages, double names and names that several people share are
wanted: they are what breaks tools. Addresses and account names are plain ASCII and unique;
account names are at most 20 characters long, as Active Directory demands.
"""

import random
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Final

GIVEN: Final = (
    "Anna", "Jürgen", "Sabine", "Thomas", "Käthe", "Michael", "Jörg", "Petra", "Stefan", "Ayşe",
    "Claudia", "Günter", "Martina", "Andreas", "Björn", "Monika", "Frank", "Susanne", "Klaus",
    "Birgit", "Matthias", "Heike", "Wolfgang", "Zoë", "Ulrich", "Andrea", "Peter", "Katharina",
    "Jan", "Nicole", "Sören", "Christine", "Uwe", "Silke", "Mehmet", "Julia", "Dirk", "Anja",
    "Ralf", "Bärbel", "Markus", "Melanie", "Holger", "Fatma", "Karsten", "Tanja", "Olaf",
    "Simone", "Torsten", "Kerstin", "Emre", "Daniela", "Sven", "Stefanie", "Kai", "Nadine",
    "Agnieszka", "Lars", "Sandra", "Paweł", "Manuela", "Tim", "Katrin", "Jens", "Jana", "René",
    "Ingrid", "Florian", "Renate", "Tobias", "Ursula", "Sebastian", "Gisela", "Daniel", "Elke",
    "Alexander", "Regina", "Christian", "Angelika", "Philipp", "Brigitte", "Benjamin", "Cornelia",
    "Lukas", "Marie", "Felix", "Léa", "Jonas", "Laura", "Hannah", "Maximilian", "Sophie", "Nils",
    "Franziska", "Moritz", "Carolin", "Hüseyin", "Elif", "Minh", "Ioana", "Tamara", "Dieter",
)  # fmt: skip

SURNAMES: Final = (
    "Müller", "Schmidt", "Schneider", "Fischer", "Weber", "Meyer", "Wagner", "Becker", "Schulz",
    "Hoffmann", "Schäfer", "Koch", "Bauer", "Richter", "Klein", "Wolf", "Schröder", "Neumann",
    "Schwarz", "Zimmermann", "Braun", "Krüger", "Hofmann", "Hartmann", "Lange", "Schmitt",
    "Werner", "Schmitz", "Krause", "Meier", "Lehmann", "Schmid", "Schulze", "Maier", "Köhler",
    "Herrmann", "König", "Walter", "Mayer", "Huber", "Kaiser", "Fuchs", "Peters", "Lang",
    "Scholz", "Möller", "Weiß", "Jung", "Hahn", "Schubert", "Vogel", "Friedrich", "Keller",
    "Günther", "Frank", "Berger", "Winkler", "Roth", "Beck", "Lorenz", "Baumann", "Franke",
    "Albrecht", "Schuster", "Simon", "Ludwig", "Böhm", "Winter", "Kraus", "Martin", "Schumacher",
    "Krämer", "Vogt", "Stein", "Jäger", "Otto", "Sommer", "Groß", "Seidel", "Heinrich", "Brandt",
    "Haas", "Schreiber", "Graf", "Schulte", "Dietrich", "Ziegler", "Kuhn", "Kühn", "Pohl",
    "Engel", "Horn", "Busch", "Bergmann", "Thomas", "Voigt", "Sauer", "Arnold", "Wolff",
    "Pfeiffer", "Strauß", "Heß", "Großmann", "Rößler", "Äußerlechner", "Öztürk", "Yılmaz",
    "Kaya", "Demir", "Şahin", "Kowalski", "Nowak", "Wójcik", "Łukasiewicz", "Nguyễn", "Popović",
    "Jørgensen", "García López", "D'Angelo", "von der Heide", "de Boer", "zu Löwenstein",
    "Müller-Lüdenscheidt", "Schöne-Böhme", "Meyer-Groß", "Papadopoulos", "Ivanova", "Petrenko",
)  # fmt: skip

# What German administrations write for letters that ASCII lacks; the rest loses its accents.
_SPELLED: Final = str.maketrans(
    {
        "ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss",
        "ı": "i", "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d",
    }
)  # fmt: skip
_ACCOUNT_LENGTH: Final = 20


def plain(text: str) -> str:
    """A text in ASCII: "Jürgen Łukasz" is "Juergen Lukasz"; letters without a spelling are gone."""
    if text.isascii():
        return text
    spelled = unicodedata.normalize("NFKD", text.translate(_SPELLED))
    return spelled.encode("ascii", "ignore").decode()


def ascii_name(text: str) -> str:
    """A name as an address spells it: "Müller-Groß" is "mueller-gross"; nothing but a-z 0-9 . -."""
    lower = plain(text).lower()
    joined = re.sub(r"[^a-z0-9]*([.-])[^a-z0-9]*|[^a-z0-9]+", lambda m: m[1] or "", lower)
    return joined.strip(".-")


@dataclass(frozen=True, slots=True)
class Person:
    """How the directory writes one person; `alias` and `account` are unique in the organisation."""

    given: str
    surname: str
    name: str
    display_name: str
    alias: str
    account: str


@dataclass(slots=True)
class Directory:
    """Hands out names so that no alias, no account and no object name comes twice."""

    random: random.Random
    _aliases: dict[str, int] = field(default_factory=dict)
    _accounts: dict[str, int] = field(default_factory=dict)
    _spelled: dict[str, str] = field(default_factory=dict)

    def person(self) -> Person:
        """The next member of staff."""
        given, surname = self.random.choice(GIVEN), self.random.choice(SURNAMES)
        first, last = self._ascii(given), self._ascii(surname)
        alias, times = self._unique(self._aliases, f"{first}.{last}", 64)
        account, _ = self._unique(self._accounts, last[:14] + first[:1], _ACCOUNT_LENGTH)
        also = f" {times}" if times > 1 else ""
        return Person(
            given, surname, f"{given} {surname}{also}", f"{surname}, {given}{also}", alias, account
        )

    def thing(self, name: str, prefix: str) -> Person:
        """A mailbox that is no person: `prefix` begins its account's name."""
        plain = ascii_name(name.replace(" ", "."))
        alias, times = self._unique(self._aliases, plain, 64)
        account, _ = self._unique(self._accounts, prefix + plain, _ACCOUNT_LENGTH)
        shown = f"{name} {times}" if times > 1 else name
        return Person("", name, shown, shown, alias, account)

    def _ascii(self, text: str) -> str:
        found = self._spelled.get(text)
        if found is None:
            found = self._spelled[text] = ascii_name(text.replace(" ", ""))
        return found

    @staticmethod
    def _unique(taken: dict[str, int], wanted: str, longest: int) -> tuple[str, int]:
        """The wanted name, with a number where it is taken; and how often it came so far."""
        wanted = wanted[:longest].rstrip(".")  # Active Directory takes no account "room."
        times = taken.get(wanted, 0) + 1
        taken[wanted] = times
        if times == 1:
            return wanted, 1
        number = times
        while True:
            candidate = f"{wanted[: longest - len(str(number))]}{number}"
            if candidate not in taken:
                taken[candidate] = 1
                return candidate, times
            number += 1
