"""MAPI over HTTP of the lab: heads, sessions, frames; asked by a small client of `requests`."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mailmig.lab import services
from mailmig.lab.places import Places
from mailmig.lab.population import Mailbox
from mailmig.lab.running.whole import Lab
from mailmig.lab.web.mapi.service import MapiService
from mailmig.model.directory import Kind
from mailmig.model.organisation import Build
from mailmig.wire.mapihttp import address_book, rops
from mailmig.wire.mapihttp import mailbox as bodies
from mailmig.wire.mapihttp.codes import ErrorCode, ResponseCode
from mailmig.wire.mapihttp.cookies import Jar
from mailmig.wire.mapihttp.rop_buffer import RopResponses
from tests.lab.asking import Shell
from tests.lab.remote_servers import outside
from tests.lab.running_lab import running
from tests.lab.web.clients import staff
from tests.lab.web.mapi_client import Answered, Client, client, url_of
from tests.wire.mapihttp.samples import ANNA, LOGON, SALES, SERVER, TAGS, vector


def service(lab: Lab) -> MapiService:
    found = lab.web.back_ends["mapi"]
    assert isinstance(found, MapiService)
    return found


async def played(lab: Lab, play: Callable[[Client, Mailbox, str], Any], **where: Any) -> Any:
    """Play a dialogue as the first of the staff; it gets the client, the person, and her DN."""

    def in_thread() -> Any:
        anna = staff(lab)[0]
        with client(lab, anna, **where) as found:
            return play(found, anna, lab.web.people.legacy(anna))

    return await outside(in_thread)


async def test_nobody_gets_in_without_a_logon(lab: Lab) -> None:
    def play(asked: Client, anna: Mailbox, dn: str) -> None:
        asked.http.auth = None
        found = asked.ask("PING")
        assert (found.status, found.code) == (401, -1)
        assert found.headers["WWW-Authenticate"] == "Negotiate, NTLM"

    await played(lab, play)


@pytest.mark.parametrize("part", ["emsmdb", "nspi"])
async def test_ping_needs_no_session_and_says_who_answers(lab: Lab, part: str) -> None:
    def play(asked: Client, anna: Mailbox, dn: str) -> None:
        found = asked.ask("ping", Content_Type=None)
        assert (found.status, found.code, found.body, found.set_cookies) == (200, 0, b"", [])
        assert found.frame is not None
        assert found.frame.elapsed is not None and found.frame.started == lab.world.now
        said = {name.lower(): value for name, value in found.headers.items()}
        assert said["content-type"] == "application/mapi-http"
        assert said["x-serverapplication"] == "Exchange/15.01.2507.006"
        assert said["x-pendingperiod"] == "30000"
        assert said["x-requestid"].endswith(":1")
        assert said["x-clientinfo"].endswith(":1")
        assert said["x-feserver"] == said["x-beserver"] == "LS-EX16"
        assert "x-deviceinfo" not in said

    await played(lab, play, part=part)


@pytest.mark.parametrize(
    ("kind", "headers", "code"),
    [
        ("Connect", {"X_RequestType": None}, ResponseCode.MISSING_HEADER),
        ("Connect", {"X_RequestId": None}, ResponseCode.MISSING_HEADER),
        ("Connect", {"Content_Type": None}, ResponseCode.MISSING_HEADER),
        ("Connect", {"Content_Type": "text/xml"}, ResponseCode.INVALID_HEADER),
        ("Connect", {"X_RequestId": "one"}, ResponseCode.INVALID_HEADER),
        ("Connect", {"X_ClientApplication": "Outlook/16"}, ResponseCode.INVALID_HEADER),
        ("Teleport", {}, ResponseCode.INVALID_REQUEST_TYPE),
        ("Bind", {}, ResponseCode.INVALID_REQUEST_TYPE),
        ("NotificationWait", {}, ResponseCode.INVALID_REQUEST_TYPE),
        ("Connect", {}, ResponseCode.INVALID_BODY),
        ("Execute", {}, ResponseCode.MISSING_COOKIE),
    ],
)
async def test_a_bad_head_is_refused_with_its_code_and_a_page(
    lab: Lab, kind: str, headers: dict[str, Any], code: ResponseCode
) -> None:
    def play(asked: Client, anna: Mailbox, dn: str) -> Answered:
        return asked.ask(kind, b"nonsense", **headers)

    found = await played(lab, play)
    assert (found.status, found.code) == (200, code)
    assert found.headers["Content-Type"] == "text/html"
    assert found.raw.startswith(b"<html>")
    assert found.set_cookies == []


async def test_verbs_paths_and_mailbox_ids_are_looked_at(lab: Lab) -> None:
    def play(asked: Client, anna: Mailbox, dn: str) -> None:
        assert asked.http.get(asked.url, timeout=10).headers["X-ResponseCode"] == "2"
        own = asked.url
        for name, status, code in (
            ("MailboxId=nobody", 200, ResponseCode.INVALID_PATH),
            ("MailboxId=00000000-0000-4000-8000-000000000000@lindenstadt.example", 404, -1),
        ):
            asked.url = f"{own.partition('?')[0]}?{name}"
            found = asked.ask("PING")
            assert (found.status, found.code) == (status, code)
        asked.url = own.replace("emsmdb", "other")
        assert asked.ask("PING").status == 404
        asked.url = own.partition("?")[0]  # without an id it is the caller's own mailbox
        assert asked.connect(dn).error_code == 0

    await played(lab, play)


async def test_cookies_lead_to_the_session_and_each_answer_turns_them_on(lab: Lab) -> None:
    def play(asked: Client, anna: Mailbox, dn: str) -> None:
        assert asked.connect(dn).display_name == anna.display_name
        first = asked.jar
        assert {name for name, _ in first.cookies} == {"MapiContext", "MapiSequence"}
        logon = bodies.ExecuteRequest(LOGON.encode() + bytes(8)).encode()
        found = asked.ask("Execute", logon)
        assert (found.code, int(found.headers["X-ExpirationInfo"])) == (0, 900_000)
        second = asked.jar
        assert second.get("MapiContext") == first.get("MapiContext")
        assert second.get("MapiSequence") != first.get("MapiSequence")

        def code(*cookies: tuple[str, str]) -> int:
            asked.jar = Jar(cookies)
            return asked.ask("Execute", logon).code

        context, sequence = second.cookies
        assert code(*first.cookies) == ResponseCode.INVALID_SEQUENCE
        assert code(context) == ResponseCode.MISSING_COOKIE
        assert code(sequence) == ResponseCode.MISSING_COOKIE
        assert code(context, ("MapiSequence", "x")) == ResponseCode.INVALID_CONTEXT_COOKIE
        assert code((context[0], context[1][:-1] + "~"), sequence) == 6
        altered = "0" if context[1][-1] != "0" else "1"
        assert code((context[0], context[1][:-1] + altered), sequence) == 6
        assert code(context, sequence, ("ARRAffinity", "of-a-proxy")) == 0

    await played(lab, play)


async def test_a_session_ends_with_disconnect_time_a_move_and_a_restart(lab: Lab) -> None:
    now = [0.0]
    service(lab).contexts.clock = lambda: now[0]

    def play(asked: Client, anna: Mailbox, dn: str) -> None:
        def gone() -> bool:
            return asked.ask("Disconnect", bodies.DisconnectRequest().encode()).code == 10

        asked.connect(dn)
        assert bodies.DisconnectResponse.decode(asked.disconnect().body).error_code == 0
        assert gone()
        asked.connect(dn)
        now[0] += 800
        assert asked.ask("PING").headers["X-ExpirationInfo"] == "900000"
        now[0] += 800
        assert not gone()
        asked.connect(dn)
        now[0] += 901
        assert gone()
        assert len(service(lab).contexts) == 0
        asked.connect(dn)
        lab.world.advance(timedelta(minutes=1))
        services.restart(lab.world, "LS-EX16", "W3Svc")
        assert gone()
        asked.connect(dn)
        server = lab.organisation.databases[anna.database].server
        other = next(one for one in lab.organisation.databases.values() if one.server != server)
        anna.database = other.name
        assert gone()

    await played(lab, play)


async def test_a_session_stays_on_its_server_when_the_front_end_changes(lab: Lab) -> None:
    def play(asked: Client, anna: Mailbox, dn: str) -> None:
        asked.connect(dn)
        for server in ("ls-ex1", "ls-ex2", "ls-ex16"):
            asked.url = url_of(lab, anna, server)
            (answer,) = asked.execute(rops.Logon(dn)).rops
            assert isinstance(answer, rops.LoggedOn)
        asked.url = url_of(lab, anna, "ls-ex1")
        found = asked.disconnect()
        assert (found.headers["X-FEServer"], found.headers["X-BEServer"]) == ("LS-EX1", "LS-EX16")

    await played(lab, play)


async def test_nobody_uses_the_session_of_another_nor_of_the_other_endpoint(lab: Lab) -> None:
    def play(asked: Client, anna: Mailbox, dn: str) -> None:
        asked.connect(dn)
        other = staff(lab)[1]
        with client(lab, other, anna) as thief:
            thief.jar = asked.jar
            assert thief.disconnect().code == ResponseCode.CONTEXT_NOT_FOUND
        with client(lab, anna, other) as elsewhere:
            elsewhere.jar = asked.jar
            assert elsewhere.disconnect().code == ResponseCode.CONTEXT_NOT_FOUND
        with client(lab, anna, part="nspi") as book:
            book.jar = asked.jar
            found = book.ask("Unbind", address_book.UnbindRequest().encode())
            assert found.code == ResponseCode.INVALID_CONTEXT_COOKIE
        assert asked.disconnect().code == 0

    await played(lab, play)


def raw_pieces(asked: Client, kind: str, body: bytes) -> Iterator[tuple[float, bytes]]:
    """The chunks of an answer and when they came: seconds since the first one."""
    headers = {"X-RequestType": kind, "X-RequestId": f"{{{asked.guid}}}:99",
               "Content-Type": "application/mapi-http", "Cookie": asked.jar.header}  # fmt: skip
    with asked.http.post(asked.url, data=body, headers=headers, stream=True, timeout=20) as found:
        asked.jar = asked.jar.after(found.raw.headers.getlist("set-cookie"))
        assert found.headers["Transfer-Encoding"] == "chunked"
        begun = time.monotonic()
        for piece in found.raw.read_chunked():
            yield time.monotonic() - begun, piece


async def test_a_slow_execute_says_pending_and_holds_the_session(lab: Lab) -> None:
    switches = lab.world.conditions("LS-EX16").mapi
    switches.pending_period_ms, switches.delay_s = 200, 0.5

    def play(asked: Client, anna: Mailbox, dn: str) -> None:
        asked.connect(dn)
        logon = bodies.ExecuteRequest(vector("get_properties_request") + bytes(8)).encode()
        pieces = raw_pieces(asked, "Execute", logon)
        came = [next(pieces)]
        with client(lab, anna) as second:  # the new cookies are known, and the turn is not over
            second.jar = asked.jar
            assert second.disconnect().code == ResponseCode.INVALID_SEQUENCE
        came += pieces
        tags = [piece.partition(b"\r\n")[0] for _, piece in came]
        assert tags == [b"PROCESSING", b"PENDING", b"PENDING", b"DONE"]
        assert came[-1][0] >= 0.45
        assert asked.disconnect().code == 0

    await played(lab, play)


async def test_answers_may_have_a_length_and_may_fail_late(lab: Lab) -> None:
    switches = lab.world.conditions("LS-EX16").mapi

    def play(asked: Client, anna: Mailbox, dn: str) -> None:
        switches.content_length = True
        asked.connect(dn)
        found = asked.ask("Execute", bodies.ExecuteRequest(bytes(8)).encode())
        assert "Transfer-Encoding" not in found.headers
        assert int(found.headers["Content-Length"]) == len(found.raw)
        assert bodies.ExecuteResponse.decode(found.body).error_code == ErrorCode.ecRpcFormat
        switches.content_length, switches.late_code = False, 1
        found = asked.ask("Execute", bodies.ExecuteRequest(bytes(8)).encode())
        assert found.code == 0 and found.frame is not None
        assert found.frame.late_response_code == 1
        assert found.body.startswith(b"<html>")
        assert asked.ask("PING").code == 0

    await played(lab, play)


async def test_versions_differ_in_their_period_and_the_first_ones_have_no_mapi(lab: Lab) -> None:
    def play(asked: Client, anna: Mailbox, dn: str) -> None:
        for build, period in (
            ((15, 1, 225, 42), "15000"), ((15, 0, 847, 32), "15000"), ((15, 0, 1497, 2), "30000"),
        ):  # fmt: skip
            lab.organisation.change_server("LS-EX16", build=build)
            assert asked.ask("PING").headers["X-PendingPeriod"] == period
        lab.organisation.change_server("LS-EX16", build=(15, 0, 775, 38))
        assert asked.ask("PING").status == 404

    await played(lab, play)


def executed(asked: Client, dn: str) -> tuple[int, str | None]:
    """Status and service code of an Execute in a session of its own."""
    assert asked.connect(dn).error_code == 0
    found = asked.ask("Execute", bodies.ExecuteRequest(bytes(8)).encode())
    return found.status, found.headers.get("X-ServiceCode")


WELL, BROKEN = (200, None), (500, "1722")


@pytest.mark.parametrize("build", [(15, 0, 1497, 2), (15, 1, 2507, 6)])
async def test_a_server_that_offers_negotiate_alone_takes_no_execute_from_other_versions(
    lab: Lab, build: Build
) -> None:
    """The cause of protocols.md 1.8.1, from the directory's own setting, and its cure."""
    lab.organisation.change_server("LS-EX16", build=build)
    shell = Shell(lab.world, "LS-EX1")

    def offer(*methods: str) -> None:
        shell.objects(
            "Set-MapiVirtualDirectory", Identity=r"LS-EX16\mapi (Default Web Site)",
            IISAuthenticationMethods=list(methods),
        )  # fmt: skip

    def play(asked: Client, anna: Mailbox, dn: str) -> None:
        assert executed(asked, dn) == WELL
        offer("Negotiate")
        assert executed(asked, dn) == BROKEN
        with client(lab, anna, server="ls-ex16") as own:
            assert executed(own, dn) == WELL
        offer("Ntlm", "Negotiate")
        assert executed(asked, dn) == WELL

    await played(lab, play, server="ls-ex1")


async def test_each_server_whose_proxying_is_broken_is_broken_by_itself(lab: Lab) -> None:
    lab.organisation.change_server("LS-EX1", build=(15, 1, 2507, 6))

    def play(asked: Client, anna: Mailbox, dn: str) -> None:
        lab.faults.on("mapi-proxy-broken", "ls-ex1")
        assert executed(asked, dn) == WELL
        lab.faults.on("mapi-proxy-broken", "ls-ex16")
        assert executed(asked, dn) == BROKEN
        lab.faults.off("mapi-proxy-broken", "ls-ex1")
        assert executed(asked, dn) == BROKEN
        lab.faults.off("mapi-proxy-broken", "ls-ex16")
        assert executed(asked, dn) == WELL

    await played(lab, play, server="ls-ex2")


async def test_the_bytes_of_the_notes_are_accepted_and_reproduced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All six of protocols.md 1.9, with two mailboxes that have the DNs of the notes."""
    named: dict[str, str] = {}
    plain = Places.legacy
    monkeypatch.setattr(
        Places, "legacy", lambda self, guid, name: named.get(guid) or plain(self, guid, name)
    )
    monkeypatch.setattr(Places, "legacy_server", lambda self, server: SERVER)
    async with running(tmp_path) as lab:
        anna, sales = staff(lab)[0], next(lab.organisation.present(Kind.SHARED))
        named |= {anna.guid: ANNA, sales.guid: SALES}

        def play(asked: Client, _: Mailbox, dn: str) -> None:
            found = asked.ask("Connect", vector("connect_request"))
            assert bodies.ConnectResponse.decode(found.body).error_code == 0
            execute = vector("execute_request_logon")
            raw = bodies.ExecuteResponse.decode(asked.ask("Execute", execute).body).rop_buffer
            (answer,) = RopResponses.decode(raw, (LOGON,)).rops
            assert isinstance(answer, rops.LoggedOn)
            assert str(answer.mailbox_guid) == sales.exchange_guid
            properties = LOGON.encode() + vector("get_properties_request")
            size = (len(properties) + 2).to_bytes(2, "little")
            whole = (len(properties) + 6).to_bytes(2, "little")
            buffer = b"\0\0\4\0" + whole * 2 + size + properties + b"\xff" * 4
            body = bodies.ExecuteRequest(buffer).encode()
            raw = bodies.ExecuteResponse.decode(asked.ask("Execute", body).body).rop_buffer
            answer = RopResponses.decode(raw, (LOGON, rops.GetProperties(TAGS))).rops[1]
            assert isinstance(answer, rops.Properties)
            assert answer.row == (sales.used, sales.display_name)
            home = sales.database
            sales.database = next(
                name for name, one in lab.organisation.databases.items() if one.dag
            )
            redirect = asked.ask("Execute", execute).body
            assert redirect == vector("execute_response_redirect")
            sales.database = home
            lab.organisation.disable(sales)
            unknown = asked.ask("Execute", execute).body
            assert unknown == vector("execute_response_unknown_user")
            with client(lab, anna, part="nspi") as book:
                found = book.ask("Bind", vector("bind_request"))
                assert address_book.BindResponse.decode(found.body).error_code == 0

        await played(lab, play)


async def test_time_goes_on_while_many_clients_ask(lab: Lab) -> None:
    """The lab's loop is not held up: another request is answered while one is slow."""
    switches = lab.world.conditions("LS-EX16").mapi
    switches.delay_s = 1.0

    def slow(asked: Client, anna: Mailbox, dn: str) -> float:
        asked.connect(dn)
        began = time.monotonic()
        asked.ask("Execute", bodies.ExecuteRequest(bytes(8)).encode())
        return time.monotonic() - began

    waiting = asyncio.ensure_future(played(lab, slow))
    lab.world.advance(timedelta(minutes=1))
    quick = await played(lab, lambda asked, anna, dn: asked.ask("PING").code)
    assert (quick, waiting.done()) == (0, False)
    assert await waiting >= 1.0


async def test_many_clients_at_once_keep_their_sessions_apart(lab: Lab) -> None:
    """Each walks through all front ends in turn, and reads its own mailbox each time."""
    people = staff(lab)[:6]

    def walk(person: Mailbox) -> list[dict[int, Any]]:
        dn, found = lab.web.people.legacy(person), []
        with client(lab, person) as asked:
            assert asked.connect(dn).display_name == person.display_name
            for server in ("ls-ex1", "ls-ex2", "ls-ex16") * 3:
                asked.url = url_of(lab, person, server)
                found.append(asked.store(dn, *TAGS))
            assert asked.disconnect().code == 0
        return found

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(len(people)) as threads:  # the lab needs those of the loop itself
        seen = await asyncio.gather(
            *(loop.run_in_executor(threads, walk, person) for person in people)
        )
    for person, found in zip(people, seen, strict=True):
        own = dict(zip(TAGS, (person.used, person.display_name), strict=True))
        assert found == [own] * 9
    assert len({person.used for person in people}) > 1
    assert len(service(lab).contexts) == 0
