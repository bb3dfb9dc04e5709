"""Whether somebody answers at a port, and whether the certificate shown there is trusted.

No password is shown and nothing is asked. What a client of ours would say about TLS it says here,
with the same authorities: those of `ca_file`, else those that this machine (or, for HTTPS, the
library) trusts.
"""

import asyncio
import contextlib
import os
import ssl
from pathlib import Path

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from mailmig.model.names import AddressMap
from mailmig.sources.remote_errors import TlsNotTrusted, Unreachable
from mailmig.sources.remote_http import checked_authority


def trusting(ca_file: Path | None, *, https: bool) -> ssl.SSLContext:
    """How certificates are checked. Raises `BadFile`."""
    if ca_file is not None:
        return ssl.create_default_context(cafile=checked_authority(ca_file))
    return ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH if https else None)


async def reach(
    server: str, port: int, addresses: AddressMap, tls: ssl.SSLContext | None, timeout_s: float
) -> None:
    """Connect, greet over TLS where a context is given, and hang up.

    `addresses` has lower-case names as its keys. Each of the two waits `timeout_s`.

    Raises:
        Unreachable: nobody answers, or not to the end.
        TlsNotTrusted: the certificate is of another name, too old, or of nobody we know.
    """
    host, at = addresses.get((server.rstrip(".").lower(), port), (server, port))
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, at)
    except TimeoutError as error:
        raise Unreachable(server, port, "nobody answered in time") from error
    except (OSError, UnicodeError) as error:
        raise Unreachable(server, port, _words(error)) from error
    try:
        if tls is not None:
            async with asyncio.timeout(timeout_s):
                await writer.start_tls(tls, server_hostname=server)
    except ssl.SSLCertVerificationError as error:
        raise TlsNotTrusted(server, port, error.verify_message or str(error)) from error
    except TimeoutError as error:
        raise Unreachable(server, port, "connected, but it did not answer in time") from error
    except OSError as error:
        raise Unreachable(server, port, f"TLS failed ({_words(error)})") from error
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await writer.wait_closed()


def _words(error: OSError | UnicodeError) -> str:
    """The system's own words: asyncio puts others before them."""
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno).lower()
    return str(error).lower() or type(error).__name__
