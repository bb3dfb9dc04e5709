"""Where to connect instead of where a name and its standard port say: for labs and tunnels."""

from dataclasses import dataclass

from mailmig.model.names import AddressMap
from mailmig.model.settings import setting

_PORTS = range(1, 65536)


@dataclass(frozen=True, slots=True)
class AddressSettings:
    """`[addresses]`: where to connect instead, as a lab or a tunnel needs it.

    Certificates are still checked against the name. A key without a port is an error: each port
    goes its own way.
    """

    instead: dict[str, str] = setting(
        {}, '"name:standard port" = "address:port" for each; empty in production.',
        example={"ex1.town.example:443": "127.0.11.21:10443"},
    )  # fmt: skip

    def __post_init__(self) -> None:
        for pair in self.instead.items():
            for text in pair:
                _place(text)

    @property
    def map(self) -> AddressMap:
        """(name in lower case, standard port) -> (address, port)."""
        found = {}
        for standard, instead in self.instead.items():
            name, port = _place(standard)
            found[name.rstrip(".").lower(), port] = _place(instead)
        return found


def _place(text: str) -> tuple[str, int]:
    """Name or address, and port; an IPv6 address stands in brackets."""
    name, colon, number = text.rpartition(":")
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    plain = number.isascii() and number.isdigit() and len(number) <= 5
    if (
        not colon
        or not bare
        or not plain
        or int(number) not in _PORTS
        or (":" in name) is (bare == name)
    ):
        raise ValueError(f'instead: "{text}" is no "name:port" with a port from 1 to 65535')
    return bare, int(number)
