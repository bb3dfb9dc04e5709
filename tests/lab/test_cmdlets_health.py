"""Component states and services of the lab beside real ones, and the laws of health.md 7."""

from datetime import timedelta
from pathlib import Path

import pytest

from mailmig.lab.components import COMPONENTS, Components
from mailmig.wire import clixml
from mailmig.wire.clixml import Obj
from tests.lab.asking import Shell, text, town

FILES = {
    "GetServerComponentState": ("Get-ServerComponentState", {"Identity": "LS-EX1"}),
    "TestServiceHealth": ("Test-ServiceHealth", {}),
}


def states(shell: Shell, server: str = "LS-EX1") -> dict[str, str]:
    found = shell.objects("Get-ServerComponentState", Identity=server)
    return {text(one, "Component"): text(one, "State") for one in found}


def ask(shell: Shell, component: str, state: str, requester: str, **more: object) -> None:
    shell.world.advance(timedelta(seconds=5))
    found = shell.ask(
        "Set-ServerComponentState", Identity="LS-EX1", Component=component, State=state,
        Requester=requester, **more,
    )  # fmt: skip
    assert found == []


@pytest.fixture(name="shell")
def _shell() -> Shell:
    return Shell(town(20), "LS-EX1")


@pytest.mark.parametrize("file", FILES)
def test_objects_look_like_real_ones(shell: Shell, data_folder: Path, file: str) -> None:
    cmdlet, parameters = FILES[file]
    real = list(clixml.read(data_folder / "clixml" / f"{file}.xml"))
    ours = shell.objects(cmdlet, **parameters)
    assert len(ours) == len(real)
    for one, other in zip(ours, real, strict=True):
        assert isinstance(other, Obj)
        assert (one.types, one.text) == (other.types, other.text)
        assert list(one.adapted) == list(other.adapted)
        for name, value in other.adapted.items():
            mine = one.adapted[name]
            if isinstance(value, Obj) and isinstance(mine, Obj):
                assert mine.types == value.types, name
                if name not in ("Identity", "RemoteStates", "LocalStates"):
                    assert mine == value, name
            elif name != "ServerFqdn":
                assert mine == value, name


def test_a_2016_server_has_one_component_and_one_role_more(shell: Shell) -> None:
    assert len(states(shell, "LS-EX16")) == len(COMPONENTS) == 35
    assert len(states(shell)) == 34
    assert len(shell.objects("Test-ServiceHealth", Server="LS-EX16")) == 4


def test_the_most_restrictive_requester_wins_and_each_keeps_its_own(shell: Shell) -> None:
    ask(shell, "hubtransport", "Draining", "Maintenance")
    assert states(shell)["HubTransport"] == "Draining"
    ask(shell, "HubTransport", "Inactive", "Functional")
    assert states(shell)["HubTransport"] == "Inactive"
    ask(shell, "HubTransport", "Active", "Maintenance")
    assert states(shell)["HubTransport"] == "Inactive"
    ask(shell, "HubTransport", "Active", "Functional")
    assert states(shell)["HubTransport"] == "Active"
    assert states(shell, "LS-EX2")["HubTransport"] == "Active"
    (one,) = shell.objects("Get-ServerComponentState", Identity="LS-EX1", Component="HubTransport")
    wishes = one["LocalStates"]
    assert isinstance(wishes, Obj)
    assert [text(w, "Requester") for w in clixml.items(wishes) if isinstance(w, Obj)] == [
        "Maintenance", "Functional",
    ]  # fmt: skip


def test_a_server_that_is_offline_takes_all_but_its_watchers_with_it(shell: Shell) -> None:
    before = states(shell)
    ask(shell, "OwaProxy", "Inactive", "HealthAPI")
    ask(shell, "ServerWideOffline", "Inactive", "Maintenance")
    active = {name for name, state in states(shell).items() if state == "Active"}
    assert active == {"Monitoring", "RecoveryActionsEnabled"}
    found = shell.objects("Get-ServerComponentState", Identity="LS-EX1")
    assert {one["ServerWideOfflineIsOffline"] for one in found} == {True}
    ask(shell, "ServerWideOffline", "Active", "Maintenance")
    after = states(shell)
    assert {n for n in after if after[n] != before[n]} == {"OwaProxy"}


def test_the_newer_of_here_and_the_directory_counts() -> None:
    world = town(20)
    components = Components("SE", world.now)
    later = world.now + timedelta(minutes=1)
    components.ask("OwaProxy", "Maintenance", "Inactive", world.now, local=False)
    assert components.state("OwaProxy") == "Inactive"
    components.ask("OwaProxy", "Maintenance", "Active", later, remote=False)
    assert components.state("OwaProxy") == "Active"
    assert components.remote["OwaProxy"]["Maintenance"].state == "Inactive"


@pytest.mark.parametrize(("name", "value", "words"), [
    ("Component", "NoSuch", "isn't a valid component"), ("State", "Idle", "ServiceState"),
    ("Requester", "Me", "Cannot convert"), ("Identity", "nix", "couldn't be found"),
])  # fmt: skip
def test_wrong_words_are_refused_and_change_nothing(
    shell: Shell, name: str, value: str, words: str
) -> None:
    good = {"Identity": "LS-EX1", "Component": "OwaProxy", "State": "Inactive",
            "Requester": "Maintenance"}  # fmt: skip
    before = states(shell)
    assert words in shell.error("Set-ServerComponentState", **(good | {name: value})).message
    assert states(shell) == before


def test_a_stopped_service_is_named_where_it_is_required(shell: Shell) -> None:
    shell.world.conditions("LS-EX1").stopped_services.add("msexchangetransport")
    found = {text(o, "Role"): o for o in shell.objects("Test-ServiceHealth")}
    hub = found["Hub Transport Server Role"]
    assert hub["RequiredServicesRunning"] is False
    missing = hub["ServicesNotRunning"]
    assert isinstance(missing, Obj) and clixml.items(missing) == ["MSExchangeTransport"]
    assert found["Mailbox Server Role"]["RequiredServicesRunning"] is True
    others = shell.objects("Test-ServiceHealth", Server="LS-EX2")
    assert all(one["RequiredServicesRunning"] is True for one in others)
