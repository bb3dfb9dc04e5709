"""What servers write about their clients, and how long they keep it."""

import asyncio
from base64 import b64encode
from datetime import timedelta

from mailmig.lab.accounts import Account
from mailmig.lab.logs import keeping
from mailmig.lab.logs.formats import LARGEST, LogFile
from mailmig.lab.logs.records import LONGEST
from mailmig.model.secret import Secret
from tests.lab.logs.answered import OLD, M, P, serve, texts, town

ANNA = Account("anna", "LINDENSTADT", Secret("x"))
AGENT = 'Opera/9 (X11; "Linux", de)'


def last(found: dict[str, str]) -> str:
    """The last line of the last file."""
    return found[max(found)].splitlines()[-1]


def test_a_request_stands_in_the_logs_of_both_servers() -> None:
    world = town()
    world.advance(timedelta(hours=3, milliseconds=114))
    serve(
        world, "/EWS/Exchange.asmx", account=ANNA, user_agent=AGENT, x_anchormailbox="a@b.example"
    )
    proxy = texts(world, M, r"HttpProxy\Ews")
    assert max(proxy) == "HttpProxy_2026112022-1.LOG"
    line = last(proxy)
    assert line.startswith("2026-11-20T22:00:00.114Z,")
    assert line.partition(",Ews,")[2] == (
        r"mail.town.example,/EWS/Exchange.asmx,NTLM,LINDENSTADT\anna,a@b.example,"
        r'"Opera/9 (X11; ""Linux"", de)",127.0.0.9,LS-EX1,200,200,'
        r"ls-ex2.ad.lindenstadt.example,15.02.2562.017,"
    )
    assert last(texts(world, M, "W3SVC1")) == (
        r"2026-11-20 22:00:00 127.0.11.22 POST /EWS/Exchange.asmx - 443 LINDENSTADT\anna "
        '127.0.0.9 Opera/9+(X11;+"Linux",+de) - 200 0 0 0'
    )
    assert last(texts(world, P, "W3SVC2")).startswith(
        r"2026-11-20 22:00:00 127.0.12.23 POST /EWS/Exchange.asmx - 444 LINDENSTADT\anna 127.0.11.22 "
    )
    assert "anna" not in "".join(texts(world, M, "W3SVC2").values())
    assert not texts(world, P, r"Hub")


def test_a_refused_request_names_nobody_and_a_name_is_written_in_full() -> None:
    world = town()
    shown = "Basic " + b64encode(b"anna@ad.lindenstadt.example:x").decode()
    serve(world, "/EWS/Exchange.asmx", 401, behind=False, authorization=shown)
    assert ",/EWS/Exchange.asmx,,,," in last(texts(world, M, r"HttpProxy\Ews"))
    serve(world, "/EWS/Exchange.asmx", authorization=shown)
    assert rf",Basic,{ANNA.logon_name}," in last(texts(world, M, r"HttpProxy\Ews"))
    serve(world, "/owa/", authorization="Basic ???")
    assert last(texts(world, M, r"HttpProxy\Owa")).split(",")[5:7] == ["", ""]


def test_a_server_behind_that_was_not_reached_writes_nothing() -> None:
    world = town()
    before = texts(world, P, "W3SVC2")
    serve(world, "/EWS/Exchange.asmx", 503, account=ANNA, reached=False)
    assert texts(world, P, "W3SVC2") == before
    line = last(texts(world, M, r"HttpProxy\Ews"))
    assert r",LINDENSTADT\anna," in line
    assert line.endswith(",LS-EX1,503,,ls-ex2.ad.lindenstadt.example,15.02.2562.017,")


def test_the_back_end_tells_software_and_result_of_mapi() -> None:
    world = town()
    serve(world, "/mapi/emsmdb/", account=ANNA, x_requesttype="Connect",
          x_clientapplication="Outlook/16.0.17928")  # fmt: skip
    line = last(texts(world, P, "MapiHttp"))
    assert line.partition(",Connect,")[2] == r"LINDENSTADT\anna,Outlook,16.0.17928,127.0.0.9,200,"
    serve(world, "/EWS/Exchange.asmx", account=ANNA)
    assert last(texts(world, P, "MapiHttp")) == line


def test_health_pages_stand_in_the_log_of_iis_alone_and_displace_nobody() -> None:
    world = town()
    serve(world, "/ews/Exchange.asmx", account=ANNA)
    for _ in range(keeping.KEPT + 20):
        serve(world, "/ews/healthcheck.htm", method="GET", behind=False)
    lines = "".join(texts(world, M, "W3SVC1").values())
    assert lines.count("healthcheck.htm") == keeping.KEPT
    assert "anna" in lines
    assert "healthcheck" not in "".join(texts(world, M, "HttpProxy").values())


def test_a_name_that_nobody_checked_is_no_user_and_a_long_text_is_cut() -> None:
    world = town()
    shown = "Basic " + b64encode(b"anna:x").decode()
    serve(world, "/owa/", 302, behind=False, authorization=shown, user_agent="x" * 5000)
    line = last(texts(world, M, r"HttpProxy\Owa"))
    assert ",/owa/,,,," in line
    assert f",{'x' * LONGEST}," in line


def test_only_the_latest_requests_are_kept() -> None:
    world = town()
    for number in range(keeping.KEPT + 50):
        serve(world, "/owa/", behind=False, user_agent=f"agent-{number}")
    found = "".join(texts(world, M, r"HttpProxy\Owa").values())
    assert found.count("agent-") == keeping.KEPT
    assert "agent-49," not in found and "agent-50," in found


def test_a_file_begins_anew_every_hour_and_when_it_is_full() -> None:
    world = town()
    before = set(texts(world, M, r"HttpProxy\Owa"))
    long = "x" * LONGEST
    for _ in range(LARGEST // len(long) + 10):
        serve(world, "/owa/", behind=False, user_agent=long)
    world.advance(timedelta(hours=1))
    serve(world, "/owa/", behind=False)
    found = texts(world, M, r"HttpProxy\Owa")
    assert sorted(set(found) - before) == [
        "HttpProxy_2026112019-1.LOG", "HttpProxy_2026112019-2.LOG", "HttpProxy_2026112020-1.LOG",
    ]  # fmt: skip
    assert all(len(text) < 1.01 * LARGEST for text in found.values())
    assert all("\n#Fields: DateTime,RequestId," in text for text in found.values())


def test_what_was_written_before_a_moment_is_left_out() -> None:
    world = town()
    serve(world, "/owa/", behind=False, user_agent="first")
    world.advance(timedelta(hours=2))
    serve(world, "/owa/", behind=False, user_agent="second")
    since = world.now - timedelta(hours=1)
    found = [file.text for file in world.logs.files(M, since=since) if "HttpProxy" in file.path]
    assert len(found) == 1 and "second" in found[0]


def test_a_log_folder_is_found_in_any_case() -> None:
    world = town()
    folder = "c:\\INETPUB\\logs\\logfiles\\w3svc1"
    found = list(world.logs.files(OLD, folder))
    assert found and all(file.path.startswith("C:\\inetpub\\") for file in found)


async def test_requests_are_written_while_somebody_reads() -> None:
    world = town()
    done = False

    def read() -> int:
        rounds = 0
        while not done:
            rounds += sum(isinstance(one, LogFile) for one in world.logs.files(M))
        return rounds

    reading = asyncio.ensure_future(asyncio.to_thread(read))
    for _ in range(400):
        serve(world, "/owa/")
        await asyncio.sleep(0)
    done = True
    assert await reading > 0
