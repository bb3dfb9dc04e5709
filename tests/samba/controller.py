"""A Samba domain controller of the test's own, filled from the lab's directory.

Samba listens on fixed ports, so it runs only inside a network namespace (`test_samba.py` makes
one) in which 127.0.0.1 is nobody else's. It is ended by its process id, with its children.
"""

import base64
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trustme

from mailmig.lab.directory import Forest
from mailmig.lab.directory.sids import DOMAIN
from mailmig.lab.directory.syntaxes import folded
from mailmig.model.secret import Secret
from tests.lab.strangers import needs
from tests.samba import domain
from tests.samba.domain import Known, Login

HOST: Final = "ls-dc1"
SITE: Final = "Rathaus"
ADDRESS: Final = "127.0.0.1"
ADMIN: Final = "Administrator"
ADMIN_PASSWORD: Final = Secret("Verw-alter-1!")
LOCK_AFTER: Final = 3
CROWD: Final = 300
_START_S: Final = 40.0
_STOP_S: Final = 15.0
_TOOL_S: Final = 120.0
# What of Samba is needed: LDAP, tickets, passwords.
_SERVICES: Final = "ldap, cldap, kdc"
_KRB5: Final = """
[libdefaults]
default_realm = {realm}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
default_ccache_name = FILE:{folder}/nobodys-tickets
[realms]
{realm} = {{
  kdc = 127.0.0.1
}}
[domain_realm]
.{domain} = {realm}
{domain} = {realm}
"""


@dataclass(frozen=True, slots=True)
class Controller:
    """Where it is. `ca_file` holds the authority that signed the controller's certificate."""

    folder: Path
    fqdn: str
    realm: str
    krb5: Path
    ca_file: Path

    def keytab(self, service: str) -> Path:
        """The keys of a service such as "HTTP/ls-ex1.town.example", for its server."""
        path = self.folder / f"{service.replace('/', '-')}.keytab"
        if not path.exists():
            _run("samba-tool", "domain", "exportkeytab", str(path), f"--principal={service}",
                 f"--configfile={self.folder}/etc/smb.conf")  # fmt: skip
        return path

    def environment(self, tickets: str) -> dict[str, str]:
        """What Kerberos looks at in a process's environment."""
        return {"KRB5_CONFIG": str(self.krb5), "KRB5CCNAME": tickets}


@contextmanager
def controller(folder: Path, forest: Forest, logins: tuple[Login, ...]) -> Iterator[Controller]:
    """A controller that holds what the forest holds at this moment, and these accounts."""
    program = needs("samba")
    organisation = forest.organisation
    fqdn = f"{HOST}.{organisation.domain}"
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    _provision(folder, forest)
    _give_certificate(folder, authority.issue_cert(fqdn))
    _fill(folder, forest, logins)
    realm = organisation.domain.upper()
    krb5 = folder / "client-krb5.conf"
    krb5.write_text(_KRB5.format(realm=realm, domain=organisation.domain, folder=folder), "utf-8")
    config = f"{folder}/etc/smb.conf"
    with (folder / "samba.out").open("wb") as log:
        process = subprocess.Popen(
            [program, "-F", "--no-process-group", "-s", config, "--debug-stdout"],
            stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            _wait_until_it_answers(process, folder / "samba.out")
            yield Controller(folder, fqdn, realm, krb5, folder / "ca.pem")
        finally:
            _end(process)


def _provision(folder: Path, forest: Forest) -> None:
    organisation = forest.organisation
    _run(
        "samba-tool", "domain", "provision", f"--targetdir={folder}",
        f"--realm={organisation.domain.upper()}", f"--domain={organisation.netbios}",
        "--server-role=dc", "--dns-backend=NONE", f"--adminpass={ADMIN_PASSWORD.reveal()}",
        f"--host-name={HOST}", f"--host-ip={ADDRESS}", f"--site={SITE}",
        f"--domain-sid={DOMAIN}", "--option=interfaces=lo",
        "--option=bind interfaces only=yes",
    )  # fmt: skip
    config = folder / "etc/smb.conf"
    lines = config.read_text("utf-8").splitlines()
    kept = [line for line in lines if "server services" not in line]
    at = kept.index("[global]") + 1
    kept[at:at] = [
        f"\t{line}"
        for line in (
            f"server services = {_SERVICES}", f"pid directory = {folder}",
            f"ncalrpc dir = {folder}/ncalrpc", f"log file = {folder}/samba.log",
            # As Windows does: passwords and tickets inside TLS, tickets outside when sealed.
            "ldap server require strong auth = allow_sasl_over_tls",
            f"tls keyfile = {folder}/server.key", f"tls certfile = {folder}/server.pem",
            f"tls cafile = {folder}/ca.pem",
        )
    ]  # fmt: skip
    config.write_text("\n".join(kept) + "\n", "utf-8")


def _give_certificate(folder: Path, leaf: trustme.LeafCert) -> None:
    """Samba's own certificate names its machine in a way that nobody looks at any more."""
    key = folder / "server.key"
    key.touch(0o600)
    leaf.private_key_pem.write_to_path(str(key))
    leaf.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))


def _fill(folder: Path, forest: Forest, logins: tuple[Login, ...]) -> None:
    known = _known(folder, forest)
    below, further = domain.classes(forest, known)
    objects, links = domain.content(forest, known)
    policy = (
        f"dn: {forest.base}\nchangetype: modify\n"
        f"replace: lockoutThreshold\nlockoutThreshold: {LOCK_AFTER}\n-\n\n"
        # A job of Samba's that is not run here would add it.
        f"dn: {forest.computer_dn(HOST.upper(), controller=True)}\nchangetype: modify\n"
        "add: servicePrincipalName\n"
        f"servicePrincipalName: ldap/{HOST}.{forest.organisation.domain}\n-\n\n"
    )
    for tool, ldif in (
        ("ldbadd", domain.attributes(forest, known)), ("ldbmodify", domain.REREAD),
        ("ldbadd", below), ("ldbmodify", domain.REREAD),
        ("ldbadd", further), ("ldbmodify", domain.REREAD),
        ("ldbmodify", domain.allowances(forest, known)), ("ldbmodify", domain.REREAD),
        ("ldbadd", objects), ("ldbmodify", links),
        ("ldbadd", domain.logins(forest, logins)), ("ldbmodify", policy),
        ("ldbadd", domain.crowd(forest, CROWD)),
    ):  # fmt: skip
        file = folder / "next.ldif"
        file.write_text(ldif, "utf-8")
        _run(tool, *_database(folder), "--option=dsdb:schema update allowed=true",
             f"--controls={domain.RELAX}", str(file))  # fmt: skip


def _known(folder: Path, forest: Forest) -> Known:
    """What is there before anything of ours is."""

    def ask(base: str, question: str, attribute: str) -> str:
        said = _run("ldbsearch", *_database(folder), "-b", base, question, attribute)
        return said.replace("\n ", "")

    schema = ask(forest.schema, "(lDAPDisplayName=*)", "lDAPDisplayName")
    names = _values(schema, "lDAPDisplayName")
    dns = [
        dn
        for base in (forest.base, forest.configuration)
        for dn in _values(ask(base, "(objectClass=*)", "dn"), "dn")
    ]
    return Known(frozenset(name.lower() for name in names), frozenset(map(folded, dns)))


def _values(ldif: str, name: str) -> list[str]:
    found = []
    for line in ldif.splitlines():
        if line.startswith(f"{name}:: "):
            found.append(base64.b64decode(line.partition(":: ")[2]).decode())
        elif line.startswith(f"{name}: "):
            found.append(line.partition(": ")[2])
    return found


def _database(folder: Path) -> list[str]:
    return ["-H", f"{folder}/private/sam.ldb", f"--configfile={folder}/etc/smb.conf"]


def _run(program: str, *words: str) -> str:
    done = subprocess.run(
        [needs(program), *words], capture_output=True, text=True, timeout=_TOOL_S, check=False
    )
    said = done.stdout + done.stderr
    # ldbadd says in words only that it left something out.
    assert done.returncode == 0 and "ERR: " not in said, f"{program}: {said[-2000:]}"
    return done.stdout


def _wait_until_it_answers(process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_S
    waiting = [88, 389, 464, 636, 3268]
    while waiting and process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection((ADDRESS, waiting[0]), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            waiting.pop(0)
    if waiting or process.poll() is not None:
        said = log.read_text("utf-8", "replace")[-3000:]
        raise AssertionError(f"samba does not listen on {waiting}:\n{said}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Its session holds it and its children, and nothing else."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(_STOP_S)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            continue
        break
    if process.stdin is not None:
        process.stdin.close()
    process.wait()
