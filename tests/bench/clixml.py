"""Reading CLIXML, beside pypsrp's own deserialiser and beside a bare XML parser.

The objects are mailboxes as `Select-Object` leaves them: 15 properties, two of them objects,
about 1.2 kB each. A file of them, in the shape of Export-Clixml, is read as a stream; the
same objects as single messages of remote PowerShell are read one by one, which is the only
way that pypsrp can read them. The bare parser is expat with empty Python callbacks for start,
end and text, on the same bytes, in the faster of its two ways to hand out text.

Times are CPU time in microseconds per object. Each round measures both sides, one after the
other; the ratio is the median of the rounds' ratios, so that a slow moment of the machine
meets both sides. Memory is the peak of a child process that reads a stream which is made up
while it is read.
"""

import io
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import BinaryIO, cast
from uuid import UUID
from xml.etree import ElementTree
from xml.parsers import expat

from mailmig.wire import clixml

ROUNDS = 15
MB = 1024**2
SMALL_MB, LARGE_MB = 10, 1024
MAILBOX = (
    "Selected.Microsoft.Exchange.Data.Directory.Management.Mailbox",
    "System.Management.Automation.PSCustomObject",
    "System.Object",
)
SIZE = (
    (
        "Deserialized.Microsoft.Exchange.Data.Unlimited`1[[Microsoft.Exchange.Data."
        "ByteQuantifiedSize]]"
    ),
    "System.Object",
)
ADOBJECTID = ("Deserialized.Microsoft.Exchange.Data.Directory.ADObjectId", "System.Object")


def mailbox(number: int, random: Random) -> clixml.Obj:
    quota = (500 + number % 4000) * MB
    text = f"{quota / 1024**3:.4g} GB ({quota:,} bytes)"
    database = f"DB{number % 4:02}"
    return clixml.Obj(
        MAILBOX,
        f"anna.{number}",
        extended={
            "Name": f"anna.{number}",
            "Alias": f"anna{number}",
            "DisplayName": f"Anna Beispiel {number}",
            "PrimarySmtpAddress": f"anna.{number}@stadt.example",
            "ServerName": "ex-alt",
            "LegacyExchangeDN": "/o=Stadt/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)"
            f"/cn=Recipients/cn={random.getrandbits(128):032x}-anna.{number}",
            "ExchangeGuid": UUID(int=random.getrandbits(128)),
            "UseDatabaseQuotaDefaults": number % 2 == 0,
            "HiddenFromAddressListsEnabled": False,
            "ItemCount": number * 7,
            "RecipientTypeDetails": clixml.Int64(1),
            "WhenMailboxCreated": datetime(2019, 12, 3, 14, 47, tzinfo=UTC)
            + timedelta(seconds=number, microseconds=number % 1000),
            "Office": None,
            "ProhibitSendQuota": clixml.Obj(SIZE, text, {"IsUnlimited": False, "Value": text}),
            "Database": clixml.Obj(
                ADOBJECTID,
                database,
                {
                    "Name": database,
                    "DistinguishedName": f"CN={database},CN=Databases,DC=stadt,DC=example",
                },
            ),
        },
    )


def rows() -> Iterator[dict[str, object]]:
    from pypsrp.serializer import Serializer

    random = Random(2)  # the same objects each time
    mailboxes = [mailbox(number, random) for number in range(400)]
    data = file_of(mailboxes)
    packed = unfolded(data)
    messages = [clixml.dumps(obj) for obj in mailboxes]
    stranger = Serializer()
    count = len(mailboxes)
    few = messages[:40]

    def read(source: bytes) -> Callable[[], object]:
        return lambda: sum(1 for _ in clixml.read(io.BytesIO(source)))

    def theirs() -> object:
        return [stranger.deserialize(message) for message in few]

    size = sum(map(len, messages)) / count
    yield at_least(
        15, f"read a file of mailboxes ({len(data) / count:.0f} B each), beside pypsrp",
        (read(data), count), (theirs, len(few)),
    )  # fmt: skip
    yield at_least(
        15, f"read messages of one mailbox ({size:.0f} B each), beside pypsrp",
        (lambda: [clixml.loads(message) for message in messages], count), (theirs, len(few)),
    )  # fmt: skip
    yield at_most(
        2.5, "read a file of mailboxes, beside bare expat",
        (read(data), count), [(bare(data, joined), count) for joined in (False, True)],
    )  # fmt: skip
    yield at_most(
        2.5, f"read it without blanks ({len(packed) / count:.0f} B each), beside bare expat",
        (read(packed), count), [(bare(packed, joined), count) for joined in (False, True)],
    )  # fmt: skip
    known = [stranger.deserialize(message) for message in few]
    yield at_least(
        5, "write messages of one mailbox, beside pypsrp",
        (lambda: [clixml.dumps(obj) for obj in mailboxes], count),
        (lambda: [ElementTree.tostring(cast(ElementTree.Element, stranger.serialize(obj)))
                  for obj in known], len(known)),
    )  # fmt: skip
    yield flat()


Side = tuple[Callable[[], object], int]


def file_of(mailboxes: list[clixml.Obj]) -> bytes:
    file = io.BytesIO()
    clixml.write(file, mailboxes)
    return file.getvalue()


def unfolded(file: bytes) -> bytes:
    """The same file in one line; a line end inside a value would be an escape."""
    return re.sub(rb"\r\n *", b"", file)


def bare(data: bytes, joined: bool) -> Callable[[], object]:
    """Expat alone with empty callbacks; text node by node, or joined (`buffer_text`)."""

    def parse() -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = joined
        parser.StartElementHandler = lambda name, attributes: None
        parser.EndElementHandler = lambda name: None
        parser.CharacterDataHandler = lambda text: None
        parser.Parse(data, True)

    return parse


def each_us(side: Side) -> float:
    work, count = side
    start = time.process_time()
    work()
    return (time.process_time() - start) / count * 1e6


def at_least(goal: float, what: str, ours: Side, other: Side) -> dict[str, object]:
    """How many times as fast as the other side."""
    rounds = [(each_us(ours), each_us(other)) for _ in range(ROUNDS)]
    ratio = statistics.median(theirs / mine for mine, theirs in rounds)
    return row(what, rounds, ratio, f">= {goal} x", ratio >= goal)


def at_most(goal: float, what: str, ours: Side, others: list[Side]) -> dict[str, object]:
    """How many times the time of the fastest of the others."""
    rounds = [(each_us(ours), min(map(each_us, others))) for _ in range(ROUNDS)]
    ratio = statistics.median(mine / theirs for mine, theirs in rounds)
    return row(what, rounds, ratio, f"<= {goal} x", ratio <= goal)


def row(
    what: str, rounds: list[tuple[float, float]], ratio: float, goal: str, met: bool
) -> dict[str, object]:
    ours, other = (statistics.median(side) for side in zip(*rounds, strict=True))
    return {
        "what": what, "ours": ours, "other": other, "unit": "µs", "ratio": ratio, "goal": goal,
        "met": met,
    }  # fmt: skip


def flat() -> dict[str, object]:
    """Peak memory over 1 GB of mailboxes beside 10 MB of them."""
    large, small = peak_mb(LARGE_MB), peak_mb(SMALL_MB)
    return {
        "what": f"peak memory over {LARGE_MB} MB of mailboxes, beside {SMALL_MB} MB of them",
        "ours": large, "other": small, "unit": "MB", "ratio": large / small, "goal": "<= 1.1 x",
        "met": large <= 1.1 * small,
    }  # fmt: skip


def peak_mb(size_mb: int) -> float:
    """In a process of its own, whose peak is nobody else's."""
    child = subprocess.run(
        [sys.executable, __file__, str(size_mb)], capture_output=True, text=True, check=True
    )
    objects, peak_kb = map(int, child.stdout.split())
    assert objects * 900 < size_mb * MB < objects * 2000, objects
    return peak_kb / 1024


class Stream(io.RawIOBase):
    """Mailboxes without end, made up as they are read; `size` bytes of them."""

    def __init__(self, size: int) -> None:
        random = Random(3)
        two = unfolded(file_of([mailbox(number, random) for number in range(2)])).decode()
        start, self._end = two.index('<Obj RefId="3"'), b"</Objs>"
        other = two[start : -len(self._end)]
        for ref in (3, 4, 5):
            other = re.sub(rf'(<Obj[^>]*) RefId="{ref}"', rf'\1 RefId="{{{ref - 3}}}"', other)
        self._ready = two[:start].encode()
        self._other = other
        self._next = 3
        self._left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while len(self._ready) < size:
            if self._left <= 0:
                self._ready, self._end = self._ready + self._end, b""
                break
            more = "".join(
                self._other.format(ref, ref + 1, ref + 2)
                for ref in range(self._next, self._next + 300, 3)
            ).encode()
            self._next += 300
            self._left -= len(more)
            self._ready += more
        taken, self._ready = self._ready[:size], self._ready[size:]
        return taken


def main() -> None:
    if len(sys.argv) > 1:
        import resource

        stream = cast(BinaryIO, Stream(int(sys.argv[1]) * MB))
        count = sum(1 for _ in clixml.read(stream))
        print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    for line in rows():
        print(line)


if __name__ == "__main__":
    main()
