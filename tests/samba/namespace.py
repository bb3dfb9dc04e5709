"""A network of its own for Samba, whose ports are fixed: loopback only, and names of its own.

It takes root: inside a user namespace that maps one account, Samba panics when it changes
its own. `/etc/hosts` is another file there, since Kerberos' and ldap3's own resolvers look
nowhere else.
"""

import os
import subprocess
from pathlib import Path
from typing import Final

from tests.lab.strangers import left_out, needs

INSIDE: Final = "MAILMIG_IN_NAMESPACE"
# $1 is the hosts file, $2 the folder; the rest is the command.
_PREPARE: Final = (
    'ip link set lo up && mount --bind "$1" /etc/hosts && mount -t tmpfs none "$2" '
    '&& shift 2 && exec "$@"'
)
_TRY_S: Final = 20


def inside(hosts: Path, folder: Path, *command: str) -> list[str]:
    """The command line that runs a command in a network of its own, with this hosts file.

    What it writes into the folder lies in memory and goes with it. Where the system allows none
    of this, the test is left out, or fails where none may be.
    """
    unshare, setpriv = needs("unshare"), needs("setpriv")
    needs("ip")
    if os.geteuid() != 0:
        left_out("Samba's domain controller and a network of its own take root")
    # Whatever way this process ends, all that runs inside ends with it.
    start = [setpriv, "--pdeathsig", "KILL", unshare, "--net", "--mount", "--pid", "--fork"]
    start += ["--kill-child"]
    start += ["--", "sh", "-c", _PREPARE, "sh", str(hosts), str(folder)]
    tried = subprocess.run(
        [*start, "true"], capture_output=True, text=True, timeout=_TRY_S, check=False
    )
    if tried.returncode:
        left_out(f"no network namespace of its own is to be had here ({tried.stderr.strip()})")
    return [*start, *command]
