"""Our clients, and others', against Samba's domain controller, in a network of its own.

One test here: it runs all of `inside` in that network and says how that went.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from mailmig.lab import story
from tests.lab.strangers import left_out, needs
from tests.samba.namespace import INSIDE, inside

_HERE: Final = Path(__file__).parent
_LIMIT_S: Final = 240
_PROGRAMS: Final = ("samba", "samba-tool", "ldbadd", "ldbmodify", "ldbsearch")
_PACKAGES: Final = ("gssapi", "krb5")
_HOSTS: Final = ("ls-dc1", "ls-ex1", "ls-ex2")


def test_our_clients_and_others_work_with_samba(tmp_path: Path) -> None:
    for program in _PROGRAMS:
        needs(program)
    for package in _PACKAGES:
        if importlib.util.find_spec(package) is None:
            left_out(f"the Python package {package} is not installed (mailmig[kerberos])")
    hosts = tmp_path / "hosts"
    domain = story.read("town").organisation["domain"]
    names = "".join(f"127.0.0.1 {name}.{domain}\n" for name in _HOSTS)
    hosts.write_text(f"127.0.0.1 localhost\n{names}", "ascii")
    folder = tmp_path / "own"
    folder.mkdir()
    command = inside(
        hosts, folder, sys.executable, "-m", "pytest", str(_HERE / "inside"), "-q", "-p", "no:cacheprovider",
        f"--basetemp={folder / 'run'}", "--durations=5",
    )  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if "KRB5" not in name}
    with subprocess.Popen(
        command, env=environment | {INSIDE: "1"}, cwd=_HERE.parents[1],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
    ) as process:  # fmt: skip
        try:
            said, _ = process.communicate(timeout=_LIMIT_S)
        except BaseException:
            process.kill()  # its children end with it: it is the first process of a namespace
            raise
    print(said)
    assert process.returncode == 0, said[-6000:]
    assert " passed" in said and "skipped" not in said.splitlines()[-1]
