"""Faults of Windows and its settings (health.md 2.11)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from mailmig.lab.faults.machines import MachineFault, Worse, machine_named
from mailmig.lab.machines import BALANCED, Card, PageFile
from mailmig.lab.world import World

# The clock of the machine runs ahead by this: beyond what Kerberos bears.
CLOCK_AHEAD = timedelta(minutes=7)
RESTARTED = timedelta(minutes=20)
DISCARDED = 48_211
EVENTS_KEPT = timedelta(days=2)
# .NET Framework 4.7.2, which Exchange 2019 and SE no longer take [MEM].
DOTNET_472 = 461_814
# IPv6 half off: tunnels only, instead of none (0) or all (0xFF) [MEM].
IPV6_HALF = 0x01
NEWER = ("10.0.26100", 4061)

Changes = Mapping[str, object]


class WindowsFault(MachineFault):
    """A setting of Windows."""

    family = "os"


class PendingReboot(WindowsFault):
    id = "os-pending-reboot"
    shows = ("os_pending_reboot", "os_witness_windows", "dag_witness_uptime")
    description = "an update was installed and the machine waits for a restart"

    def worse(self, world: World, target: str) -> Changes:
        return {"pending_reboot": ("Servicing", "Update")}


class SetupRunning(WindowsFault):
    id = "os-setup-running"
    shows = ("os_setup_running",)
    description = "an Exchange setup is at work on the machine"

    def worse(self, world: World, target: str) -> Changes:
        return {"setup": ("ExSetup.exe",)}


class ClockAhead(WindowsFault):
    id = "os-clock-ahead"
    shows = ("os_time_skew", "hyperv:time_skew")
    description = "the machine's clock is seven minutes ahead of all others"

    def worse(self, world: World, target: str) -> Changes:
        return {"clock_ahead": CLOCK_AHEAD}


class Restarted(WindowsFault):
    id = "os-restarted"
    shows = ("os_uptime", "dag_witness_uptime", "os_witness_windows")
    description = "the machine was restarted 20 minutes ago without anybody knowing"

    def worse(self, world: World, target: str) -> Changes:
        return {"started": (world.now - RESTARTED).replace(microsecond=0)}


class AutomaticPageFile(WindowsFault):
    id = "os-page-file-automatic"
    shows = ("os_pagefile",)
    description = "Windows manages the page file by itself"

    def worse(self, world: World, target: str) -> Changes:
        return {"page_automatic": True, "page_files": (PageFile(r"C:\pagefile.sys", 0, 0),)}


class SecondPageFile(WindowsFault):
    id = "os-page-file-second"
    shows = ("os_pagefile",)
    description = "there are two page files, each too small"

    def worse(self, world: World, target: str) -> Changes:
        paths = (r"C:\pagefile.sys", r"E:\pagefile.sys")
        return {"page_files": tuple(PageFile(path, 4096, 4096) for path in paths)}


class BalancedPower(WindowsFault):
    id = "os-power-balanced"
    shows = ("os_power_plan",)
    description = "the power plan is Balanced, which slows the processor down"

    def worse(self, world: World, target: str) -> Changes:
        return {"power_plan": BALANCED}


class NoKeepAlive(WindowsFault):
    id = "os-keep-alive-unset"
    shows = ("os_tcp_keepalive",)
    description = "KeepAliveTime is not set: firewalls cut idle Outlook sessions"

    def worse(self, world: World, target: str) -> Changes:
        return {"keep_alive_ms": None}


class CardFault(Worse):
    """The network card of a machine."""

    family = "os"
    wants = MachineFault.wants

    def what(self, world: World, target: str) -> Card:
        return machine_named(self, world, target).card


class Discards(CardFault):
    id = "os-packets-discarded"
    shows = ("os_nic_discards",)
    description = "the network card has thrown away tens of thousands of packets"

    def worse(self, world: World, target: str) -> Changes:
        return {"discarded": DISCARDED}


class NotRegistered(CardFault):
    id = "os-not-in-dns"
    shows = ("os_dns_registered",)
    description = "the network card does not write its address into DNS"

    def worse(self, world: World, target: str) -> Changes:
        return {"registers": False}


class HalfIPv6(WindowsFault):
    id = "os-ipv6-half"
    shows = ("os_ipv6",)
    description = "IPv6 is switched off by halves"

    def worse(self, world: World, target: str) -> Changes:
        return {"ipv6_disabled": IPV6_HALF}


class HttpProxy(WindowsFault):
    id = "os-http-proxy"
    shows = ("os_http_proxy",)
    description = "WinHTTP sends everything through a proxy"

    def worse(self, world: World, target: str) -> Changes:
        return {"proxy": f"proxy.{world.organisation.domain}:8080"}


class CredentialGuard(WindowsFault):
    id = "os-credential-guard"
    shows = ("os_credential_guard",)
    description = "Credential Guard runs, which Exchange does not bear"

    def worse(self, world: World, target: str) -> Changes:
        return {"credential_guard": True}


class OldDotNet(WindowsFault):
    id = "os-dotnet-old"
    shows = ("os_dotnet",)
    description = ".NET Framework is 4.7.2, too old for the Exchange on top of it"

    def worse(self, world: World, target: str) -> Changes:
        return {"dotnet": DOTNET_472}


class NoRuntime(WindowsFault):
    id = "os-runtime-missing"
    shows = ("os_vc_runtime",)
    description = "the Visual C++ 2013 runtime is not installed"

    def worse(self, world: World, target: str) -> Changes:
        found = self.what(world, target).runtimes
        return {"runtimes": tuple(one for one in found if " 2013 " not in one)}


class ShortLog(WindowsFault):
    id = "os-event-log-short"
    shows = ("os_event_log_depth",)
    description = "the event logs are full and reach back two days only"

    def worse(self, world: World, target: str) -> Changes:
        logs = self.what(world, target).logs
        return {"logs": tuple(replace(log, full=True, reaches_back=EVENTS_KEPT) for log in logs)}


class OtherWindows(WindowsFault):
    id = "os-other-version"
    shows = ("dag_same_os",)
    description = "the machine runs a newer Windows than its neighbour"

    def worse(self, world: World, target: str) -> Changes:
        version, revision = NEWER
        return {"version": version, "revision": revision}
