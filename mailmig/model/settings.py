"""How a module declares the settings that it reads from mailmig.toml.

A settings class is a frozen dataclass in the module that reads it; each field is made with
`setting(default, help)`. The help text is what `mailmig config init` prints above the key.
"""

from dataclasses import field
from typing import Any

_MISSING: Any = object()


def setting(default: Any, help: str, *, example: Any = _MISSING) -> Any:
    """A field of a settings class.

    `example` is shown, commented out, in the sample file where the default is empty or
    says little. A default that is a dict is copied for each instance.
    """
    metadata = {"help": help} if example is _MISSING else {"help": help, "example": example}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)
