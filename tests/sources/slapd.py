"""An OpenLDAP server of the test's own, filled from the lab's directory.

It knows nothing of Active Directory: no matching rules, no naming attributes in its root, no
descriptors. Each attribute of the lab becomes one of its schema, all classes are empty, and
`extensibleObject` allows everything. Ended by its process id; ports on 127.0.0.1 are free ones.
"""

import base64
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import trustme

from mailmig.lab.directory import Forest
from mailmig.lab.directory.syntaxes import SPELLINGS, SYNTAXES, Syntax
from mailmig.model.secret import Secret
from tests.lab.strangers import needs

NAME: Final = "ldap.town.example"
PASSWORD: Final = Secret("nur-hier")
_START_S: Final = 20.0
_BUILT_IN: Final = {"cn", "name", "objectclass", "distinguishedname", "description"}
_PLAIN: Final = "1.3.6.1.4.1.1466.115.121.1"
_KINDS: Final = {
    Syntax.TEXT: ("caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch", 15),
    Syntax.TIME: ("caseIgnoreMatch", 15),
    Syntax.DN: ("distinguishedNameMatch", 12),
    Syntax.NUMBER: ("integerMatch ORDERING integerOrderingMatch", 27),
    Syntax.TRUTH: ("booleanMatch", 7),
    Syntax.BYTES: ("octetStringMatch", 40),
    Syntax.SID: ("octetStringMatch", 40),
    Syntax.DESCRIPTOR: ("octetStringMatch", 40),
}
_CONFIG: Final = """
include {folder}/lab.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
sizelimit unlimited
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
database mdb
maxsize 2147483648
suffix "{suffix}"
rootdn "{rootdn}"
rootpw {password}
directory {folder}/data
dbnosync
"""


@dataclass(frozen=True, slots=True)
class Slapd:
    """Where it listens, who may read all of it, and whose certificates to trust."""

    plain: tuple[str, int]
    secure: tuple[str, int]
    account: str
    ca_file: Path


@contextmanager
def slapd(folder: Path, forest: Forest) -> Iterator[Slapd]:
    """A slapd that holds what the forest holds at this moment."""
    program, load = needs("slapd"), needs("slapadd")
    (folder / "data").mkdir(parents=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    leaf = authority.issue_cert(NAME)
    leaf.private_key_pem.write_to_path(str(folder / "server.key"))
    for blob in leaf.cert_chain_pems:
        blob.write_to_path(str(folder / "server.pem"), append=True)
    rootdn = f"cn=reader,{forest.base}"
    config = folder / "slapd.conf"
    config.write_text(
        _CONFIG.format(
            folder=folder, suffix=forest.base, rootdn=rootdn, password=PASSWORD.reveal()
        ),
        "utf-8",
    )
    _write(folder, forest)
    subprocess.run(
        [load, "-q", "-s", "-f", str(config), "-l", str(folder / "all.ldif")],
        check=True, timeout=120, capture_output=True,
    )  # fmt: skip
    plain, secure = _free_ports()
    urls = f"ldap://127.0.0.1:{plain}/ ldaps://127.0.0.1:{secure}/"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-f", str(config), "-h", urls, "-d", "0"],
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            _wait(process, secure, folder / "log")
            yield Slapd(("127.0.0.1", plain), ("127.0.0.1", secure), rootdn, folder / "ca.pem")
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _write(folder: Path, forest: Forest) -> None:
    """Schema and content."""
    classes: dict[str, None] = {}
    entries = [
        entry for context in forest.contexts() for entry in forest.entries(context, timedelta(0))
    ]
    entries.sort(key=lambda entry: entry.dn.replace("\\,", "").count(","))
    with (folder / "all.ldif").open("w", encoding="ascii") as out:
        for entry in entries:
            out.write(f"dn:: {_base64(entry.dn.encode())}\n")
            out.write("objectClass: labEntry\nobjectClass: extensibleObject\n")
            for name in entry.names():
                if name == "distinguishedname":
                    continue  # its own, and computed
                values = list(dict.fromkeys(entry.get(name)))
                for value in values:
                    if name == "objectclass":
                        classes[value.decode()] = None
                    out.write(f"{SPELLINGS[name]}:: {_base64(value)}\n")
            out.write("\n")
    oid = "1.3.6.1.4.1.99999.7"
    lines = []
    for number, name in enumerate(sorted(SYNTAXES)):
        if name not in _BUILT_IN:
            rule, syntax = _KINDS[SYNTAXES[name]]
            lines.append(
                f"attributetype ( {oid}.1.{number} NAME '{SPELLINGS[name]}' EQUALITY {rule} "
                f"SYNTAX {_PLAIN}.{syntax} )"
            )
    lines.append(f"objectclass ( {oid}.2 NAME 'labEntry' SUP top STRUCTURAL )")
    lines += [
        f"objectclass ( {oid}.3.{number} NAME '{name}' SUP top AUXILIARY )"
        for number, name in enumerate(classes)
        if name not in ("top", "extensibleObject")
    ]
    (folder / "lab.schema").write_text("\n".join(lines) + "\n", "ascii")


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"slapd does not start:\n{log.read_text('utf-8', 'replace')[-2000:]}")


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(other.getsockname()[1])
