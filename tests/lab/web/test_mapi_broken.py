"""Damaged and greedy requests to the lab's MAPI over HTTP: each gets an answer, none breaks it."""

from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from mailmig.lab import story
from mailmig.lab.running.whole import Lab
from mailmig.lab.web.mapi import contexts as sessions
from mailmig.lab.web.mapi import rops as operations
from mailmig.lab.web.mapi.nspi import MOST_ASKED
from mailmig.lab.web.mapi.service import MapiService
from mailmig.lab.web.messages import Answer, Call, Request
from mailmig.model.directory import Kind
from mailmig.wire.mapihttp import address_book as book
from mailmig.wire.mapihttp import entries, restrictions, rops
from mailmig.wire.mapihttp import mailbox as bodies
from mailmig.wire.mapihttp.codes import ErrorCode, ResponseCode
from mailmig.wire.mapihttp.frame import Frame
from mailmig.wire.mapihttp.properties import ANR, DISPLAY_NAME
from mailmig.wire.mapihttp.rop_buffer import TO_BE_FILLED, RopRequests, RopResponses
from tests.wire.mutations import mutated

ROUNDS = 150


@dataclass
class Direct:
    """Asks the back end without HTTP, as one of the staff."""

    lab: Lab
    part: str = "emsmdb"
    cookies: str = ""

    def ask(self, kind: str, body: bytes) -> Answer:
        caller = next(self.lab.organisation.present(Kind.USER))
        server = self.lab.organisation.server("LS-EX16")
        headers = {
            "content-type": "application/mapi-http", "x-requesttype": kind, "cookie": self.cookies,
            "x-requestid": "{00000000-0000-0000-0000-000000000001}:1",
        }  # fmt: skip
        request = Request("POST", f"/mapi/{self.part}/", {}, headers, body, secure=True)
        account = self.lab.accounts.find(caller.account)
        found = self.lab.web.back_ends["mapi"].answer(
            Call(request, account, caller, server, server)
        )
        given = [value.partition(";")[0] for name, value in found.headers if name == "Set-Cookie"]
        self.cookies = "; ".join(given) or self.cookies
        return found


def code(answer: Answer) -> int:
    return int(dict(answer.headers)["X-ResponseCode"])


def body(answer: Answer) -> bytes:
    assert code(answer) == 0, answer
    return Frame.decode(b"".join(chunk.data for chunk in answer.chunks)).body


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """It listens nowhere."""
    return Lab(story.read("town"), tmp_path, mailboxes=20, speed=0.0)


def requests(lab: Lab) -> dict[str, list[tuple[str, bytes]]]:
    """Whole requests of each endpoint that keep a session."""
    dn = lab.web.people.legacy(next(lab.organisation.present(Kind.USER)))
    asked = RopRequests(
        (rops.Logon(dn), rops.OpenFolder(bytes(8)), rops.GetProperties((DISPLAY_NAME, 0x0E080014)),
         rops.Release()), (TO_BE_FILLED,) * 3,
    )  # fmt: skip
    search = restrictions.Or((restrictions.Compare(ANR, 4, "a"), restrictions.Exists(DISPLAY_NAME)))
    return {
        "emsmdb": [
            ("Connect", bodies.ConnectRequest(dn).encode()),
            ("Execute", bodies.ExecuteRequest(asked.encode()).encode()),
        ],
        "nspi": [
            ("Bind", book.BindRequest().encode()),
            ("ResolveNames", book.ResolveNamesRequest(("a", "müller"), (DISPLAY_NAME,)).encode()),
            ("GetMatches", book.GetMatchesRequest(search, 5, (DISPLAY_NAME,)).encode()),
            ("GetProps", entries.GetPropsRequest(None, book.Stat(current_record=0x100)).encode()),
            ("QueryRows", entries.QueryRowsRequest(3, (DISPLAY_NAME,)).encode()),
            ("DNToMId", entries.DnToMidRequest((dn, "x")).encode()),
            ("CompareMIds", entries.CompareMidsRequest(0x100, 0x101).encode()),
            ("GetMailboxUrl", book.UrlRequest(dn).encode()),
        ],
    }


@pytest.mark.parametrize("part", ["emsmdb", "nspi"])
def test_every_damaged_request_gets_an_answer(lab: Lab, part: str) -> None:
    random, asked = Random(11), Direct(lab, part)
    (begin, whole), *_ = seeds = requests(lab)[part]
    codes = set()
    for _ in range(ROUNDS):
        for kind, raw in seeds:
            if kind == begin:
                assert "X-ResponseCode" in dict(asked.ask(kind, mutated(raw, random)).headers)
                asked.ask(begin, whole)
                continue
            found = asked.ask(kind, mutated(raw, random))
            assert found.status == 200
            codes.add(dict(found.headers)["X-ResponseCode"])
            body(asked.ask(kind, raw))  # the session is as good as before
    assert codes == {"0", "12"}


def test_answers_that_are_too_many_for_one_block_are_cut_where_they_end(lab: Lab) -> None:
    asked = Direct(lab)
    (_, connect), _ = requests(lab)["emsmdb"]
    body(asked.ask("Connect", connect))
    dn = bodies.ConnectRequest.decode(connect).user_dn
    tags = (0x12340003,) * 2000  # an error of five bytes each
    asks = [rops.GetProperties(tags)] * 7
    wanted: tuple[rops.RopRequest, ...] = (rops.Logon(dn), *asks)
    buffer = RopRequests(wanted).encode()
    request = bodies.ExecuteRequest(buffer, max_rop_out=0x40000).encode()
    found = bodies.ExecuteResponse.decode(body(asked.ask("Execute", request)))
    assert found.error_code == ErrorCode.ecNone
    answers = RopResponses.decode(found.rop_buffer, wanted).rops
    assert isinstance(answers[-1], rops.BufferTooSmall)
    assert all(isinstance(one, rops.Properties) for one in answers[1:-1])
    assert len(answers) == len(wanted) == 8


def test_of_too_many_sessions_the_one_used_longest_ago_ends(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MOST", 3)
    service = lab.web.back_ends["mapi"]
    assert isinstance(service, MapiService)
    (_, connect), _ = requests(lab)["emsmdb"]
    first, second, *others = clients = [Direct(lab) for _ in range(5)]
    for one in clients[:3]:
        body(one.ask("Connect", connect))
    body(first.ask("PING", b""))
    for one in clients[3:]:
        body(one.ask("Connect", connect))
    assert len(service.contexts) == 3
    leave = bodies.DisconnectRequest().encode()
    assert code(second.ask("Disconnect", leave)) == ResponseCode.CONTEXT_NOT_FOUND
    assert code(others[0].ask("Disconnect", leave)) == ResponseCode.CONTEXT_NOT_FOUND
    assert [code(one.ask("Disconnect", leave)) for one in (first, *others[1:])] == [0, 0, 0]


def test_who_opens_folders_and_releases_none_gets_no_more_at_last(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "MOST_HANDLES", 3)
    asked = Direct(lab)
    (_, connect), _ = requests(lab)["emsmdb"]
    body(asked.ask("Connect", connect))
    dn = bodies.ConnectRequest.decode(connect).user_dn
    caller = next(lab.organisation.present(Kind.USER))
    opened = rops.OpenFolder(operations.folder_id(caller, 0), output_index=1)
    wanted = (rops.Logon(dn), opened, opened, rops.Release(input_index=1), opened, opened)
    request = bodies.ExecuteRequest(RopRequests(wanted, (TO_BE_FILLED,) * 2).encode()).encode()
    found = bodies.ExecuteResponse.decode(body(asked.ask("Execute", request)))
    answers = RopResponses.decode(found.rop_buffer, wanted).rops
    codes = [one.return_value if isinstance(one, rops.Refused) else 0 for one in answers]
    assert codes == [0, 0, 0, 0, ErrorCode.ecNotEnoughMemory]


def test_who_asks_for_too_much_at_once_is_refused_and_may_ask_for_less(lab: Lab) -> None:
    asked = Direct(lab, "nspi")
    body(asked.ask("Bind", book.BindRequest().encode()))
    one = restrictions.Compare(ANR, 4, "zz")
    for count, wanted in ((MOST_ASKED, 0), (MOST_ASKED + 1, ResponseCode.TOO_LARGE)):
        names = book.ResolveNamesRequest(("zz",) * count, (DISPLAY_NAME,)).encode()
        assert code(asked.ask("ResolveNames", names)) == wanted
        nested = restrictions.Not(restrictions.Or((one,) * (count - 2)))
        matches = book.GetMatchesRequest(nested, 5, (DISPLAY_NAME,)).encode()
        assert code(asked.ask("GetMatches", matches)) == wanted
    assert code(asked.ask("Unbind", book.UnbindRequest().encode())) == 0
