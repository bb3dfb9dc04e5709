"""Messages as they come over the wire become messages that mailboxes hold."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailmig.lab.contents import INBOX, Attachment, Message
from mailmig.lab.messages import blind_copies, read, written

NOW = datetime(2026, 11, 20, 19, 0, tzinfo=UTC)
HOP = ("Received", "from a by b; now")


def taken(raw: bytes) -> Message:
    return read(
        raw, "x@out.example", NOW, more_bytes=100, message_id="<own@lab>", hops=(HOP,)
    )  # fmt: skip


def test_a_message_says_what_its_sender_wrote() -> None:
    found = taken(
        b"Received: from c by a; earlier\r\nFrom: =?utf-8?q?M=C3=BCller?= <m@town.example>\r\n"
        b"To: a@town.example, B <b@town.example>\r\nCc: c@town.example\r\nBcc: d@town.example\r\n"
        b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Fri, 20 Nov 2026 17:30:00 +0100\r\n"
        b"Message-ID: <1@town.example>\r\nX-Probe: 7\r\nContent-Type: text/plain; charset=latin-1\r\n"
        b"\r\nSch\xf6n\r\n"
    )
    assert (found.subject, found.sender, found.body) == ("Grüße", "m@town.example", "Schön\r\n")
    assert (found.to, found.cc) == (("a@town.example", "b@town.example"), ("c@town.example",))
    assert found.sent == NOW - timedelta(hours=2, minutes=30)
    assert (found.received, found.message_id) == (NOW, "<1@town.example>")
    assert found.headers == (HOP, ("Received", "from c by a; earlier"), ("X-Probe", "7"))


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_subject_in_plain_bytes_can_be_read(encoding: str) -> None:
    assert taken("Subject: Grüße\r\n aus Köln\r\n\r\n".encode(encoding)).subject == "Grüße aus Köln"


def test_a_bare_message_takes_what_the_envelope_and_the_moment_say() -> None:
    found = taken(b"\r\nx")
    assert (found.sender, found.sent, found.message_id) == ("x@out.example", NOW, "<own@lab>")
    assert (found.subject, found.to, found.size) == ("", (), 103)


def test_the_first_plain_text_of_many_parts_is_the_body() -> None:
    raw = (
        b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/html\r\n\r\n<p>no</p>\r\n"
        b"--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\neWVz\r\n--b--\r\n"
    )
    found = taken(raw)
    assert (found.body, found.html, found.size) == ("yes", "<p>no</p>", len(raw) + 100)
    assert not found.attachments


def test_html_alone_can_be_read_as_text_too() -> None:
    found = taken(
        b"Content-Type: text/html; charset=utf-8\r\n\r\n<html><head><title>t</title><style>p{}</style>"
        b"</head><body><p>Gr\xc3\xbc\xc3\x9fe &amp;\nmehr</p><script>x()</script>bald</body></html>"
    )
    assert found.html.startswith("<html>") and found.html.endswith("</html>")
    assert found.body.split() == ["Grüße", "&", "mehr", "bald"]


def test_files_and_messages_inside_are_attachments() -> None:
    raw = (
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nbody\r\n"
        b"--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; "
        b"filename*=utf-8''Gr%C3%BC%C3%9Fe.txt\r\n\r\nfile\r\n"
        b"--b\r\nContent-Type: image/png; name=p.png\r\nContent-ID: <1@x>\r\n"
        b"Content-Disposition: inline\r\nContent-Transfer-Encoding: base64\r\n\r\ncG5n\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nnot the body\r\n--b--\r\n"
    )
    found = taken(raw)
    text, picture, inner = found.attachments
    assert (found.body, text.name, text.content) == ("body", "Grüße.txt", b"file")
    assert picture == Attachment(1, "p.png", "image/png", b"png", "1@x", True)
    assert (inner.name, inner.kind) == ("ATT00003.eml", "message/rfc822")
    assert b"Subject: inner" in inner.content and b"not the body" in inner.content
    again = taken(written(found))
    assert [one.name for one in again.attachments] == [one.name for one in found.attachments]
    assert b"not the body" in again.attachments[2].content


@pytest.mark.parametrize(
    ("name", "known"),
    [
        (b"filename*=\xfctf-8''x", "x"),
        (b"filename*=utf\x00-8''x", "ATT00001"),
        (b'filename="=?\x00tf-8?q?x?="', "=?tf-8?q?x?="),
        (b"filename=", "ATT00001"),
    ],
)
def test_a_file_in_no_encoding_has_a_name_all_the_same(name: bytes, known: str) -> None:
    found = taken(b"Content-Type: a/b\r\nContent-Disposition: attachment; " + name + b"\r\n\r\nx")
    (file,) = found.attachments
    assert (file.name, file.content) == (known, b"x")


@pytest.mark.parametrize("date", ["", "soon", "Fri, 99 Nov 2026 17:30:00 +0100",
                                  "Fri, 31 Dec 9999 23:59:00 -2359"])  # fmt: skip
def test_a_date_that_cannot_be_is_the_moment_of_arrival(date: str) -> None:
    assert taken(f"Date: {date}\r\n\r\n".encode()).sent == NOW


_HEADS = st.sampled_from(
    [b"Subject", b"From", b"To", b"Date", b"Message-ID", b"Content-Type", b"X\xff",
     b"Content-Transfer-Encoding", b"Received"]
)  # fmt: skip
_LINES = st.tuples(_HEADS, st.binary(max_size=60)).map(b": ".join)


@given(st.lists(_LINES, max_size=8), st.binary(max_size=200))
@example([b"Subject: =?utf-8?b?////?="], b"")
@example([b"Subject: =?nonsense?q?x?=", b"Content-Type: text/plain; charset=nonsense"], b"\xff")
@example([b"Content-Type: text/plain; charset*=x''%ff", b"From: \xfc <\xfc@x>"], b"\x00")
@example([b"Content-Type: multipart/mixed; boundary=b"], b"--b\r\n\r\n--b--")
def test_whatever_comes_can_be_shown_as_xml(lines: list[bytes], body: bytes) -> None:
    raw = b"\r\n".join(lines) + b"\r\n\r\n" + body
    rude = body.decode("utf-8", "surrogateescape")
    found = read(
        raw, rude, NOW, more_bytes=100, message_id="<own@lab>", hops=(("Received", rude),)
    )  # fmt: skip
    texts = (found.subject, found.sender, found.body, found.message_id, *found.to, *found.cc,
             found.html, *(part for header in found.headers for part in header),
             *(text for one in found.attachments for text in (one.name, one.kind, one.content_id)),
             *blind_copies(raw))  # fmt: skip
    for text in texts:
        ElementTree.fromstring(f"<t>{escape(text)}</t>".encode())
    assert found.size == len(raw) + 100 and found.sent.tzinfo is not None
    if not any(one.kind.startswith("message/") for one in found.attachments):
        again = taken(written(found))
        assert [one.content for one in again.attachments] == [
            one.content for one in found.attachments
        ]


_WORDS = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=20)
_TEXTS = st.one_of(st.just(""), _WORDS, st.just("Gr\u00fc\u00dfe\r\n--=_x\r\n.\r\n"))
_FILES = st.tuples(
    _WORDS.filter(lambda name: name == " ".join(name.split()) != ""),
    st.sampled_from(["image/png", "text/plain", "text/html", "application/octet-stream"]),
    st.binary(min_size=1, max_size=300), st.booleans(),
)  # fmt: skip


@given(_TEXTS, _TEXTS, st.lists(_FILES, max_size=3))
def test_what_is_written_as_mime_is_read_as_the_same(
    body: str, html: str, files: list[tuple[str, str, bytes, bool]]
) -> None:
    attachments = tuple(
        Attachment(number, name, kind, content, "c@d" if inline else "", inline)
        for number, (name, kind, content, inline) in enumerate(files)
    )
    one = Message(
        INBOX, 0, True, "s", "a@town.example", ("b@town.example",), NOW, NOW, 0, "<1@lab>",
        ("c@town.example",), body or ("x" if html else ""), html=html, attachments=attachments,
    )  # fmt: skip
    found = taken(written(one))
    assert (found.body, found.html, found.attachments) == (one.body, html, attachments)
    assert (found.to, found.cc, found.sender) == (one.to, one.cc, one.sender)
