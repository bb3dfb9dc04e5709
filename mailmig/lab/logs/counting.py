r"""What the scripts that read logs find on a server of the lab: the same rules, file by file.

`client_use.ps1` and `smtp_use.ps1` in `wire/windows_scripts` say what is counted; here it is done
with the files that `mailmig.lab.logs.keeping` makes, by their `#Fields:` lines as well.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from csv import reader
from typing import Final

from mailmig.lab.logs.formats import EXCHANGE, LogFile
from mailmig.wire.clixml import Value

Row = dict[str, Value]
MOST_CLIENTS: Final = 20_000
MOST_SESSIONS: Final = 100_000
_NONE: Final = "|"
_FIELDS: Final = "#Fields: "
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)")
_HELLO: Final = re.compile(r"(?:EHLO|HELO) (.+)", re.IGNORECASE)
_PORT: Final = re.compile(r":\d+$")
_SMTP: Final = (
    "date-time", "connector-id", "session-id", "remote-endpoint", "event", "data", "context",
)  # fmt: skip


def path(folder: str) -> str:
    """A folder of a script as it is on the lab's servers, with a backslash at its end."""
    return folder.replace("%Exchange%", EXCHANGE).replace("%SystemDrive%", "C:") + "\\"


class _Count:
    """What a script counts: files and lines, and clients by all that is known of them."""

    def __init__(self, since: str) -> None:
        self.files = self.lines = self.unread = self.left = 0
        self.oldest = "9"
        self._since = since
        self._clients: dict[str, tuple[str, list[int], list[str]]] = {}

    def moment(self, text: str) -> str:
        """The moment of a line that counts; "" for one that does not."""
        found = _MOMENT.match(text)
        if found is None:
            self.unread += 1
            return ""
        when = f"{found[1]} {found[2]}"
        self.oldest = min(self.oldest, when)
        if when < self._since:
            return ""
        self.lines += 1
        return when

    def add(self, client: str, accepted: int, when: str) -> None:
        """One request or session more. PowerShell's keys do not tell small from large letters."""
        key = client.lower()
        if key not in self._clients and len(self._clients) >= MOST_CLIENTS:
            self.left += 1
            return
        _, numbers, last = self._clients.setdefault(key, (client, [0, 0], [""]))
        numbers[0] += 1
        numbers[1] += accepted
        last[0] = max(last[0], when)

    def rows(self, folder: str) -> Iterator[Row]:
        """What the script prints; a folder appears with the first file in it."""
        yield {
            "Folder": folder.rstrip("\\"), "There": self.files > 0, "Files": self.files,
            "Lines": self.lines, "Unread": self.unread, "Left": self.left, "Oldest": self.oldest,
        }  # fmt: skip
        for client, (requests, accepted), (last,) in self._clients.values():
            yield {"Client": client, "Requests": requests, "Accepted": accepted, "Last": last}


def client_use(files: Iterable[LogFile], given: Mapping[str, str | list[str]]) -> Iterator[Row]:
    """The rows of `client_use.ps1` for these files and arguments."""
    split, good = str(given["split"]), re.compile(str(given["good"]))
    wanted = [name.split("|") for name in given["fields"]]
    count = _Count(str(given["since"]))
    for file in files:
        count.files += 1
        for cells in _cells(file, split, wanted):
            when = count.moment(cells[0])
            if when:
                cells[2] = cells[2].lstrip("/").partition("/")[0]
                count.add("\t".join(cells[1:6]), int(good.search(cells[6]) is not None), when)
    yield from count.rows(path(str(given["folder"])))


def smtp_use(files: Iterable[LogFile], given: Mapping[str, str | list[str]]) -> Iterator[Row]:
    """The rows of `smtp_use.ps1` for these files and arguments."""
    count = _Count(str(given["since"]))
    sessions: dict[str, _Session] = {}
    for file in files:
        count.files += 1
        for cells in _cells(file, ",", [[name] for name in _SMTP]):
            when = count.moment(cells[0])
            if not when:
                continue
            number = " ".join(cells[1:3]).lower()
            if number not in sessions and len(sessions) >= MOST_SESSIONS:
                count.left += 1
                continue
            session = sessions.setdefault(number, _Session(cells[1], _PORT.sub("", cells[3])))
            session.hear(when, *cells[4:])
    for session in sessions.values():
        count.add(session.client, session.taken, session.last)
    yield from count.rows(path(str(given["folder"])))


class _Session:
    """One SMTP session, while its lines are read."""

    def __init__(self, connector: str, address: str) -> None:
        self._connector = connector
        self._address = address
        self._name = self._user = self.last = ""
        self.taken = 0

    @property
    def client(self) -> str:
        return f"{_NONE}\t{self._connector}\t{self._name}\t{self._address}\t{self._user}"

    def hear(self, when: str, event: str, data: str, context: str) -> None:
        """One line more."""
        self.last = when
        hello = _HELLO.match(data)
        if event == "<" and hello is not None:
            self._name = hello[1]
        elif event == "*" and context.lower() == "authenticated":
            self._user = data
        elif event == ">" and data.startswith("250 2.6.0 "):
            self.taken += 1


def _cells(file: LogFile, split: str, wanted: list[list[str]]) -> Iterator[list[str]]:
    """The wanted values of each line; `|` for a field that the file does not have."""
    at: list[list[int]] = []
    for line in file.lines:
        if line.startswith(_FIELDS):
            known = line.removeprefix(_FIELDS).strip().split(split)
            at = [
                [known.index(name) for name in names] if all(n in known for n in names) else []
                for names in wanted
            ]
        if not line or line.startswith("#"):
            continue
        cells = _w3c(line) if split == " " else next(reader([line]))
        found = [_joined(cells, where) for where in at]
        yield found or [""] * len(wanted)


def _joined(cells: list[str], where: list[int]) -> str:
    if not where:
        return _NONE
    return " ".join(cells[place] if place < len(cells) else "" for place in where)


def _w3c(line: str) -> list[str]:
    return ["" if cell == "-" else cell.replace("+", " ") for cell in line.split(" ")]


def answer(
    script: str, files: Iterable[LogFile], given: Mapping[str, str | list[str]]
) -> list[Row]:
    """All rows of one of the two scripts."""
    return list((client_use if script == "client_use" else smtp_use)(files, given))


SCRIPTS: Final = ("client_use", "smtp_use")
