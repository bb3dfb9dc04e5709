"""What admins set of a virtual directory is what clients are offered."""

import pytest

from mailmig.lab.running.whole import Lab
from tests.lab.asking import Shell, read, said, text
from tests.lab.web.test_front_end import EX1, EX2, SYNC, asked

NTLM, BASIC = ["Negotiate", "NTLM"], ["Basic"]
# cmdlet, directory, what is set, path, what is offered then
CHANGES = [
    ("WebServices", "EWS", {"BasicAuthentication": True}, "/EWS/Exchange.asmx", NTLM + BASIC),
    ("WebServices", "EWS", {"BasicAuthentication": True, "WindowsAuthentication": False},
     "/EWS/Exchange.asmx", BASIC),
    ("WebServices", "EWS", {"WindowsAuthentication": False}, "/EWS/Exchange.asmx", []),
    ("Oab", "OAB", {"BasicAuthentication": True}, "/OAB/x", NTLM + BASIC),
    ("Autodiscover", "Autodiscover", {"BasicAuthentication": False},
     "/Autodiscover/Autodiscover.xml", NTLM),
    ("Autodiscover", "Autodiscover", {"OAuthAuthentication": False},
     "/Autodiscover/Autodiscover.xml", NTLM + BASIC),
    ("ActiveSync", "Microsoft-Server-ActiveSync",
     {"BasicAuthEnabled": False, "WindowsAuthEnabled": True}, SYNC, NTLM),
    ("Owa", "owa", {"FormsAuthentication": False}, "/owa/", BASIC),
    ("Ecp", "ecp", {"FormsAuthentication": False, "WindowsAuthentication": True}, "/ecp/",
     NTLM + BASIC),
    ("Mapi", "mapi", {"IISAuthenticationMethods": ["Negotiate"]}, "/mapi/emsmdb/", ["Negotiate"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "change", "path", "offered"), CHANGES)
async def test_what_is_set_is_offered_from_the_next_request_on(
    lab: Lab, kind: str, name: str, change: dict[str, object], path: str, offered: list[str]
) -> None:
    shell, identity = Shell(lab.world, "LS-EX1"), rf"LS-EX1\{name} (Default Web Site)"
    before = (await asked(lab, f"https://{EX2}{path}")).raw.headers.getlist("www-authenticate")
    shell.objects(f"Set-{kind}VirtualDirectory", Identity=identity, **change)
    found = await asked(lab, f"https://{EX1}{path}")
    assert found.status_code == 401
    schemes = found.raw.headers.getlist("www-authenticate")
    assert [one.partition(" ")[0] for one in schemes] == offered
    other = (await asked(lab, f"https://{EX2}{path}")).raw.headers.getlist("www-authenticate")
    assert other == before
    (shown,) = shell.objects(f"Get-{kind}VirtualDirectory", Identity=identity)
    for switch, value in change.items():
        if isinstance(value, bool):
            assert shown[switch] is value


async def test_switches_and_methods_say_the_same(lab: Lab) -> None:
    shell, identity = Shell(lab.world, "LS-EX1"), r"LS-EX1\EWS (Default Web Site)"

    def seen() -> tuple[bool, ...]:
        (shown,) = shell.objects("Get-WebServicesVirtualDirectory", Identity=identity)
        for where in ("Internal", "External"):
            words = {str(one) for one in _words(shown[f"{where}AuthenticationMethods"])}
            assert ("Basic" in words) is shown["BasicAuthentication"]
            assert ({"Ntlm", "WindowsIntegrated"} <= words) is shown["WindowsAuthentication"]
        return bool(shown["BasicAuthentication"]), bool(shown["WindowsAuthentication"])

    assert seen() == (False, True)
    for basic, windows in ((True, True), (True, False), (False, False), (False, True)):
        shell.objects(
            "Set-WebServicesVirtualDirectory", Identity=identity, BasicAuthentication=basic,
            WindowsAuthentication=windows,
        )  # fmt: skip
        assert seen() == (basic, windows)


async def test_a_wrong_word_for_extended_protection_is_refused(lab: Lab) -> None:
    shell, identity = Shell(lab.world, "LS-EX1"), r"LS-EX1\mapi (Default Web Site)"
    refused = shell.error(
        "Set-MapiVirtualDirectory", Identity=identity, ExtendedProtectionTokenChecking="Maybe"
    )
    assert "Maybe" in refused.message
    (shown,) = read(shell.ask("Get-MapiVirtualDirectory", Identity=identity))
    assert text(shown, "ExtendedProtectionTokenChecking") == "None"
    what_if = shell.ask(
        "Set-MapiVirtualDirectory", Identity=identity, ExtendedProtectionTokenChecking="Require",
        WhatIf=True,
    )  # fmt: skip
    assert not said(what_if)
    (shown,) = read(shell.ask("Get-MapiVirtualDirectory", Identity=identity))
    assert text(shown, "ExtendedProtectionTokenChecking") == "None"


def _words(value: object) -> list[object]:
    return [one.text for one in value.value]  # type: ignore[attr-defined]
