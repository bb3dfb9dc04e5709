"""Remote PowerShell by psrpcore's client half over bare HTTP, answer by answer.

Slower clients, smaller envelopes and half-read answers than a stock client would make, and an
answer's objects can be counted without reading them.
"""

import base64
import re
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psrpcore
import requests

SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
URI = "http://schemas.microsoft.com/powershell/Microsoft.Exchange"
NAMESPACES = (
    'xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    'xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" '
    f'xmlns:rsp="{SHELL}"'
)
PIPELINE_OUTPUT = 0x00041004
_STREAM = re.compile(rb"<rsp:Stream [^>]*>([^<]*)</rsp:Stream>")


class RawClient:
    """One session. Basic over TLS."""

    def __init__(
        self,
        url: str,
        authority: Path,
        name: str,
        password: str,
        *,
        envelope_size: int = 512_000,
        timeout_s: float = 5,
    ) -> None:
        self.pool = psrpcore.ClientRunspacePool()
        self.envelope_size = envelope_size
        self.timeout_s = timeout_s
        self.done = False
        self.largest_answer = 0
        self._url = url
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.verify = str(authority)
        self._http.auth = (name, password.encode())  # type: ignore[assignment]
        self._http.headers["Accept-Encoding"] = "identity"

    def __enter__(self) -> Self:
        self.pool.open()
        payload = self.pool.data_to_send()
        assert payload is not None
        data = base64.b64encode(payload.data).decode()
        self._shell_id = str(self.pool.runspace_pool_id).upper()
        self.post(
            f"{TRANSFER}/Create",
            f'<rsp:Shell ShellId="{self._shell_id}"><rsp:InputStreams>stdin pr</rsp:InputStreams>'
            "<rsp:OutputStreams>stdout</rsp:OutputStreams>"
            f'<creationXml xmlns="http://schemas.microsoft.com/powershell">{data}</creationXml>'
            "</rsp:Shell>",
        )
        while self.pool.state != psrpcore.types.RunspacePoolState.Opened:
            for _ in self.events(self.receive(None)):
                pass
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.post(f"{TRANSFER}/Delete", "")
        finally:
            self._http.close()

    def start(self, name: str, *then: tuple[str, dict[str, Any]], **parameters: Any) -> uuid.UUID:
        """Starts a cmdlet, and others after it in its pipeline; gives the command's id."""
        shell = psrpcore.ClientPowerShell(self.pool)
        shell.add_command(name)
        for key, value in parameters.items():
            shell.add_parameter(key, value)
        for more, values in then:
            shell.add_command(more)
            for key, value in values.items():
                shell.add_parameter(key, value)
        shell.start()
        payload = self.pool.data_to_send()
        assert payload is not None
        data = base64.b64encode(payload.data).decode()
        self.done = False
        self.post(
            f"{SHELL}/Command",
            f'<rsp:CommandLine CommandId="{str(shell.pipeline_id).upper()}"><rsp:Command/>'
            f"<rsp:Arguments>{data}</rsp:Arguments></rsp:CommandLine>",
        )
        return shell.pipeline_id

    def receive(self, command: uuid.UUID | None) -> bytes:
        """The fragments of one answer."""
        answer = self.post(f"{SHELL}/Receive", self.wanted(command))
        self.largest_answer = max(self.largest_answer, len(answer))
        self.done = b"CommandState/Done" in answer
        return b"".join(base64.b64decode(text) for text in _STREAM.findall(answer))

    @staticmethod
    def wanted(command: uuid.UUID | None) -> str:
        of = "" if command is None else f' CommandId="{str(command).upper()}"'
        return f"<rsp:Receive><rsp:DesiredStream{of}>stdout</rsp:DesiredStream></rsp:Receive>"

    def events(self, data: bytes) -> Iterator[psrpcore.PSRPEvent[Any, Any]]:
        """What psrpcore reads in an answer."""
        payload = psrpcore.PSRPPayload(data, psrpcore.StreamType.default, None)
        self.pool.receive_data(payload)
        while (event := self.pool.next_event()) is not None:
            yield event

    def post(self, action: str, body: str) -> bytes:
        response = self._http.post(self._url, self.envelope(action, body), timeout=20)
        response.raise_for_status()
        return response.content

    def envelope(self, action: str, body: str) -> bytes:
        selector = f'<w:Selector Name="ShellId">{self._shell_id}</w:Selector>'
        return (
            f"<s:Envelope {NAMESPACES}><s:Header><a:Action>{action}</a:Action>"
            f"<a:MessageID>uuid:{uuid.uuid4()}</a:MessageID><w:ResourceURI>{URI}</w:ResourceURI>"
            f"<w:MaxEnvelopeSize>{self.envelope_size}</w:MaxEnvelopeSize>"
            f"<w:OperationTimeout>PT{self.timeout_s}S</w:OperationTimeout>"
            f"<w:SelectorSet>{selector}</w:SelectorSet></s:Header><s:Body>{body}</s:Body>"
            "</s:Envelope>"
        ).encode()


def objects(data: bytes) -> int:
    """How many objects begin in an answer, without reading them."""
    at = found = 0
    while at < len(data):
        flags, length = struct.unpack_from(">BI", data, at + 16)
        if flags & 1:
            (kind,) = struct.unpack_from("<I", data, at + 25)
            found += kind == PIPELINE_OUTPUT
        at += 21 + length
    return found
