"""Where our scripts look for logs of clients, and what they are asked for."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mailmig.model.windows import ClientLog, ClientUse
from mailmig.wire.client_logs import question
from mailmig.wire.windows_answers import asked, script

SINCE = datetime(2027, 1, 12, 8, 30, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize("log", ClientLog)
def test_a_question_is_a_script_that_the_other_side_understands(log: ClientLog) -> None:
    name, arguments = question(log, SINCE)
    assert asked(script(name, arguments)) == (name, arguments)
    assert arguments["since"] == "2027-01-12 07:30:00"
    assert not str(arguments["folder"]).endswith("\\")


def test_each_log_lies_in_a_folder_of_its_own() -> None:
    folders = {str(question(log, SINCE)[1]["folder"]) for log in ClientLog}
    assert len(folders) == len(ClientLog)
    assert all(one.startswith(("%Exchange%", "%SystemDrive%\\")) for one in folders)


@pytest.mark.parametrize(
    ("user", "software", "probes"),
    [
        ("TOWN\\HealthMailbox0afd", "x", True),
        ("HEALTHMAILBOX0afd", None, True),
        ("TOWN\\anna", "AMProbe/Local/ClientAccess", True),
        ("", "MSExchangeMonitoring", True),
        (None, "Mozilla (ActiveMonitoring)", True),
        ("TOWN\\anna", "Microsoft Office/16.0", False),
        ("HealthMailbox\\anna", "", False),
        (None, None, False),
    ],
)
def test_probes_of_exchange_are_no_clients(
    user: str | None, software: str | None, probes: bool
) -> None:
    at = datetime(2027, 1, 12, tzinfo=UTC)
    assert ClientUse("x", "Mapi", software, "192.0.2.1", user, 1, 1, at).is_probe is probes
