"""The documents beside this file, how each is read and written, and what each of them says."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailmig.wire.autodiscover import mobile, pox, soap, v2

FOLDER = Path(__file__).with_name("samples")
GUID = "11223344-5566-7788-99aa-bbccddeeff00"


@dataclass(frozen=True)
class Sample:
    file: str
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]
    value: Any

    @property
    def raw(self) -> bytes:
        return (FOLDER / self.file).read_bytes().rstrip()


def endpoint(host: str, name: str) -> str:
    return f"https://{host}.lab.test/mapi/{name}/?MailboxId={GUID}@lab.test"


SETTINGS = pox.Settings(
    pox.User("Büro & Söhne", "/o=Lab/ou=AG/cn=Recipients/cn=sales", "shared@lab.test", GUID),
    pox.MapiHttp(
        pox.Urls(endpoint("mail", "emsmdb")),
        pox.Urls(endpoint("mail", "nspi"), endpoint("out", "nspi")),
    ),
    (
        pox.Protocol(
            "EXCH",
            (
                ("Server", f"{GUID}@lab.test"),
                ("ServerVersion", "73C18A0C"),
                ("EwsUrl", "https://mail.lab.test/EWS/Exchange.asmx"),
            ),
        ),
    ),
    (pox.AlternativeMailbox("Delegate", "Sales", "sales@lab.test", "sales@lab.test"),),
    "folders@lab.test",
)
ACTIVE_SYNC = "https://mail.lab.test/Microsoft-Server-ActiveSync"
ANSWERS = soap.Answers(
    (
        soap.UserAnswer(
            (("ExternalEwsUrl", "https://mail.lab.test/EWS/Exchange.asmx"),),
            message="No error.",
            redirect="",
            errors=(soap.SettingError("CasVersion", "SettingIsNotAvailable", "not there"),),
            alternative_mailboxes=(
                pox.AlternativeMailbox("Delegate", "Sales", "sales@lab.test"),
            ),
        ),
        soap.UserAnswer(code="InvalidUser", message="unknown"),
    ),
    message="",
    version=soap.ServerVersion((15, 1, 2507, 6), "Exchange2016"),
)  # fmt: skip
SAMPLES = (
    Sample(
        "pox_request.xml", pox.Request.decode, pox.Request.encode, pox.Request("shared@lab.test")
    ),
    Sample("pox_settings.xml", pox.decode, pox.encode, SETTINGS),
    Sample(
        "pox_error.xml",
        pox.decode,
        pox.encode,
        pox.Error(600, "Invalid Request", "21:50:07.1234567", "2477272013", ""),
    ),
    Sample("pox_redirect.xml", pox.decode, pox.encode, pox.Redirect(address="anna@new.test")),
    Sample(
        "mobile_settings.xml",
        mobile.decode,
        mobile.encode,
        mobile.Settings(
            (mobile.Server("MobileSync", ACTIVE_SYNC, ACTIVE_SYNC),), "Anna", "anna@lab.test"
        ),
    ),
    Sample("soap_answer.xml", soap.decode, soap.encode, ANSWERS),
    Sample(
        "v2_found.json",
        v2.decode,
        v2.encode,
        v2.Found("Ews", "https://mail.lab.test/EWS/Exchange.asmx"),
    ),
)
