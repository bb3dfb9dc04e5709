"""What the scripts count in log files, whatever order and number of fields these have."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailmig.lab.logs import counting
from mailmig.lab.logs.formats import LogFile
from mailmig.lab.running.windows_rows import row
from mailmig.model.windows import ClientLog, ClientUse, LogRead
from mailmig.wire.client_logs import question
from mailmig.wire.windows_answers import answer, printed, script
from tests.lab.asking_windows import facts
from tests.lab.logs.answered import OLD, M, serve, town

SINCE = datetime(2027, 1, 12, 7, 0, tzinfo=UTC)
# The made lines of operations.md 10, and one of each sort that must not count.
PROXY = r"""
#Fields: DateTime,RequestId,Protocol,UrlHost,UrlStem,AuthenticationType,AuthenticatedUser,AnchorMailbox,UserAgent,ClientIpAddress,ServerHostName,HttpStatus,BackEndStatus,TargetServer,TargetServerVersion
2027-01-12T06:59:59.999Z,5f0b,Mapi,altmail.town.example,/mapi/emsmdb/,Negotiate,TOWN\anna,,x,192.0.2.44,EX1,200,200,ex1.town.example,15.02.2562.000
2027-01-12T07:31:02.114Z,5f0c,Mapi,altmail.town.example,/mapi/emsmdb/,Negotiate,TOWN\anna,,"Office/16.0 (NT, ""Pro"")",192.0.2.44,EX1,200,200,ex1.town.example,15.02.2562.000
2027-01-12T07:31:03.000Z,5f0d,Mapi,altmail.town.example,/mapi/emsmdb/,Negotiate,town\ANNA,,"Office/16.0 (NT, ""Pro"")",192.0.2.44,EX1,503,,,
no moment,5f0e,Mapi
"""
IIS = r"""
#Software: x
#Fields: date time s-ip cs-method cs-uri-stem cs-username c-ip cs(User-Agent) sc-status time-taken
2027-01-12 07:31:05 192.0.2.11 POST /EWS/Exchange.asmx TOWN\svc-scan 192.0.2.77 Scan+Station/3.1 200 31
2027-01-12 07:31:06 192.0.2.11 GET /EWS/Exchange.asmx - 192.0.2.77 - 401 1
#Fields: time date cs-uri-stem cs-host sc-status
07:32:00 2027-01-12 / mail.town.example 302
"""
SMTP = r"""
#Fields: date-time,connector-id,session-id,sequence-number,local-endpoint,remote-endpoint,event,data,context
2027-01-12T07:31:09.000Z,EX0\Relay,08DB01,0,192.0.2.10:25,192.0.2.80:51344,+,,
2027-01-12T07:31:09.002Z,EX0\Relay,08DB01,2,192.0.2.10:25,192.0.2.80:51344,<,EHLO printer-3,
2027-01-12T07:31:09.003Z,EX0\Relay,08DB02,2,192.0.2.10:25,192.0.2.80:51345,<,HELO printer-3,
2027-01-12T07:31:09.004Z,EX0\Relay,08DB01,3,192.0.2.10:25,192.0.2.80:51344,>,250 2.1.0 Sender OK,
2027-01-12T07:31:09.005Z,EX0\Relay,08DB01,4,192.0.2.10:25,192.0.2.80:51344,>,"250 2.6.0 <a@b> [x=1, y=2]",
2027-01-12T07:31:09.006Z,EX0\Relay,08DB03,4,192.0.2.10:25,[2001:db8::1]:51344,*,TOWN\svc-scan,authenticated
"""


def counted(log: ClientLog, *files: str, since: datetime = SINCE) -> tuple[LogRead, set[ClientUse]]:
    """What a script finds in these texts, read as our client reads it."""
    name, given = question(log, since)
    made = [
        LogFile(f"{number}.LOG", text.strip().splitlines()) for number, text in enumerate(files)
    ]
    rows = [row(**one) for one in counting.answer(name, made, given)]
    read, *clients = answer(name, printed(rows))
    assert isinstance(read, LogRead)
    found = [one for one in clients if isinstance(one, ClientUse)]
    assert len(found) == len(clients)
    return read, set(found)


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2027-01-12T{clock}+00:00")


def test_requests_are_counted_per_client_and_from_the_moment_on() -> None:
    read, clients = counted(ClientLog.PROXY, PROXY)
    assert (read.files, read.lines, read.unread, read.oldest) == (1, 2, 1, at("06:59:59"))
    assert clients == {
        ClientUse("altmail.town.example", "Mapi", 'Office/16.0 (NT, "Pro")', "192.0.2.44",
                  r"TOWN\anna", 2, 1, at("07:31:03"))
    }  # fmt: skip


def test_fields_are_found_by_name_and_a_missing_one_is_unknown() -> None:
    read, clients = counted(ClientLog.IIS_FRONT, IIS)
    assert (read.lines, read.unread) == (3, 0)
    assert clients == {
        ClientUse(None, "EWS", "Scan Station/3.1", "192.0.2.77", r"TOWN\svc-scan", 1, 1,
                  at("07:31:05")),
        ClientUse(None, "EWS", "", "192.0.2.77", "", 1, 0, at("07:31:06")),
        ClientUse("mail.town.example", "", None, None, None, 1, 1, at("07:32:00")),
    }  # fmt: skip


def test_smtp_is_counted_by_sessions_and_messages_that_were_taken() -> None:
    read, clients = counted(ClientLog.SMTP_FRONT, SMTP)
    assert (read.lines, read.unread) == (6, 0)
    assert clients == {
        ClientUse(None, r"EX0\Relay", "printer-3", "192.0.2.80", "", 2, 1, at("07:31:09")),
        ClientUse(None, r"EX0\Relay", "", "[2001:db8::1]", r"TOWN\svc-scan", 1, 0, at("07:31:09")),
    }


def test_a_session_may_go_on_in_the_next_file() -> None:
    lines = SMTP.strip().splitlines()
    _, whole = counted(ClientLog.SMTP_FRONT, SMTP)
    _, parted = counted(
        ClientLog.SMTP_FRONT, "\n".join(lines[:3]), "\n".join([lines[0], *lines[3:]])
    )
    assert parted == whole


def test_no_file_is_told_apart_from_no_client() -> None:
    read, clients = counted(ClientLog.SMTP_HUB)
    assert (read.there, read.files, read.oldest, clients) == (False, 0, None, set())
    read, clients = counted(ClientLog.SMTP_HUB, SMTP, since=SINCE + timedelta(days=1))
    assert (read.there, read.files, read.lines, clients) == (True, 1, 0, set())
    assert read.oldest == at("07:31:09")


def test_lines_without_a_heading_cannot_be_read() -> None:
    read, clients = counted(ClientLog.PROXY, PROXY.replace("#Fields: ", "#Columns: "))
    assert (read.lines, read.unread, clients) == (0, 4, set())


def test_too_many_clients_are_counted_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MOST_CLIENTS", 2)
    monkeypatch.setattr(counting, "MOST_SESSIONS", 2)
    read, clients = counted(ClientLog.IIS_FRONT, IIS)
    assert (len(clients), read.left, read.lines) == (2, 1, 3)
    read, clients = counted(ClientLog.SMTP_FRONT, SMTP)
    assert (sum(one.requests for one in clients), read.left) == (2, 1)


def test_the_limits_are_those_of_the_scripts() -> None:
    name, given = question(ClientLog.PROXY, SINCE)
    assert f"-ge {counting.MOST_CLIENTS})" in script(name, given)
    name, given = question(ClientLog.SMTP_HUB, SINCE)
    assert f"-ge {counting.MOST_SESSIONS})" in script(name, given)


def test_every_request_that_was_answered_is_counted_once() -> None:
    world = town()
    wanted: Counter[tuple[str, str]] = Counter()
    for number in range(300):
        agent, path = f"agent {number % 7}", ("/owa/", "/EWS/Exchange.asmx")[number % 2]
        serve(world, path, 200 if number % 3 else 503, user_agent=agent)
        wanted[agent, path.split("/")[1].capitalize()] += 1
    name, given = question(ClientLog.PROXY, world.now - timedelta(hours=1))
    read, *clients = facts(world, M, name, **given)
    found = {(one.software, one.protocol): one for one in clients if "agent" in one.software}
    assert {key: one.requests for key, one in found.items()} == dict(wanted)
    assert sum(one.accepted for one in found.values()) == 200
    assert read.there and not read.left


@pytest.mark.parametrize("log", ClientLog)
def test_every_log_of_the_old_server_tells_of_its_clients(log: ClientLog) -> None:
    world = town()
    name, given = question(log, world.now - timedelta(days=14))
    read, *clients = facts(world, OLD, name, **given)
    assert read.folder.startswith("C:\\") and "%" not in read.folder
    if log is ClientLog.SMTP_HUB:  # nobody has switched it on
        assert not read.there and not clients
        return
    users: list[Any] = [one for one in clients if not one.is_probe]
    assert users and sum(one.accepted for one in users)
    if log is not ClientLog.SMTP_FRONT:
        assert read.lines == sum(one.requests for one in clients) and len(users) < len(clients)
    hosts = {one.host for one in users}
    own = world.organisation.server(OLD).fqdn
    assert hosts == ({own, world.organisation.namespace} if log is ClientLog.PROXY else {None})


def test_a_machine_without_exchange_has_none_of_these_logs() -> None:
    name, given = question(ClientLog.PROXY, SINCE)
    (read,) = facts(town(), "ls-dc1", name, **given)
    assert not read.there
