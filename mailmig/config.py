"""Reads mailmig.toml into the settings classes of those who need them.

One table of the file is one settings class: a frozen dataclass in the module that reads
it. Unknown tables and keys are errors that name file, key and the nearest known one. A
value that is not in the file has the default of its class. Paths are relative to the
folder of the file. Secrets are references, never values:

    password = { file = "/run/credentials/mailmig" }      # a file that only you may read
    password = { env = "MAILMIG_PASSWORD" }
    password = { keyring = "mailmig/exchange" }           # service/account
"""

import json
import os
import stat
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from mailmig.model.errors import MailmigError, MissingExtra, nearest
from mailmig.model.secret import MASK, Secret
from mailmig.model.settings import setting

FILE_NAME = "mailmig.toml"

T = TypeVar("T")


class BadConfig(MailmigError):
    """A configuration that cannot be used: mend the key that is named in the file that is named."""

    def __init__(self, file: object, key: str, reason: str) -> None:
        super().__init__(f"{file}: {key}: {reason}" if key else f"{file}: {reason}")
        self.file = str(file)
        self.key = key
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Settings:
    """`[mailmig]`: where mailmig keeps what it remembers, and what it logs."""

    state_folder: Path | None = setting(
        None,
        "Folder for snapshots, plans and the journal; only you may read it. "
        "Without it: the folder that the operating system keeps for applications.",
        example="/var/lib/mailmig",
    )
    log_file: Path | None = setting(
        None, "File that gets the log too; secrets are masked.", example="/var/log/mailmig.log"
    )
    log_level: str = setting("warning", "How much is logged: debug, info, warning or error.")

    def __post_init__(self) -> None:
        if self.log_level not in ("debug", "info", "warning", "error"):
            raise ValueError("log_level is one of debug, info, warning, error")


@dataclass(slots=True)
class Config:
    """One configuration: the tables of a file, or none, and the secrets that were read from it."""

    file: Path | None = None
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    secrets: list[Secret] = field(default_factory=list)

    @property
    def place(self) -> str:
        return str(self.file) if self.file else "defaults"

    def section(self, name: str, cls: type[T]) -> T:
        """The settings of one table.

        Raises:
            BadConfig: an unknown key, a value of another type, or one that `cls` refuses.
        """
        known = {f.name: f for f in _fields(cls)}
        hints = typing.get_type_hints(cls)
        values = {}
        for key, value in self.tables.get(name, {}).items():
            if key not in known:
                hint = nearest(key, known)
                raise BadConfig(self.place, f"{name}.{key}", f"there is no such key{hint}")
            values[key] = self._convert(f"{name}.{key}", value, hints[key])
        try:
            return cls(**values)
        except ValueError as error:
            raise BadConfig(self.place, name, str(error)) from error

    def _convert(self, key: str, value: Any, wanted: Any) -> Any:
        options = typing.get_args(wanted) if isinstance(wanted, types.UnionType) else (wanted,)
        wanted = next(option for option in options if option is not type(None))
        origin, arguments = typing.get_origin(wanted) or wanted, typing.get_args(wanted)
        if origin is Secret:
            return self._secret(key, value)
        if origin is Path and isinstance(value, str) and value:
            base = self.file.parent if self.file else Path()
            return base / Path(value).expanduser()
        if origin is tuple and isinstance(value, list):
            return tuple(self._convert(f"{key}[{n}]", v, arguments[0]) for n, v in enumerate(value))
        if origin is dict and isinstance(value, dict):
            return {k: self._convert(f"{key}.{k}", v, arguments[1]) for k, v in value.items()}
        if isinstance(origin, type) and issubclass(origin, Enum):
            return self._choice(key, value, origin)
        if origin is float and type(value) is int:
            return float(value)
        if type(value) is origin:
            return value
        raise BadConfig(self.place, key, f"{_toml(value)} is not {_type_in_words(origin)}")

    def _choice(self, key: str, value: Any, choices: type[Enum]) -> Enum:
        for choice in choices:
            if choice.value == value:
                return choice
        known = [str(choice.value) for choice in choices]
        hint = nearest(str(value), known)
        raise BadConfig(
            self.place, key, f"{_toml(value)} is none of {', '.join(known)}{hint}"
        )  # fmt: skip

    def _secret(self, key: str, value: Any) -> Secret:
        if not isinstance(value, dict) or len(value) != 1:
            raise BadConfig(
                self.place, key,
                'a secret is a reference, never a value: { file = "..." }, { env = "..." } '
                'or { keyring = "service/account" }',
            )  # fmt: skip
        (kind, reference), *_ = value.items()
        readers = {"file": self._from_file, "env": self._from_env, "keyring": self._from_keyring}
        if kind not in readers or not isinstance(reference, str):
            hint = nearest(kind, readers)
            raise BadConfig(self.place, key, f"there is no kind of reference {kind!r}{hint}")
        secret = Secret(readers[kind](key, reference))
        self.secrets.append(secret)
        return secret

    def _from_file(self, key: str, reference: str) -> str:
        base = self.file.parent if self.file else Path()
        path = base / Path(reference).expanduser()
        try:
            mode = path.stat().st_mode
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadConfig(self.place, key, f"{path} cannot be read: {error}") from error
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise BadConfig(self.place, key, f"{path} may be read by others: chmod 600 {path}")
        return text.rstrip("\r\n")

    def _from_env(self, key: str, reference: str) -> str:
        value = os.environ.get(reference)
        if not value:
            raise BadConfig(self.place, key, f"the environment variable {reference} is not set")
        return value

    def _from_keyring(self, key: str, reference: str) -> str:
        service, _, account = reference.rpartition("/")
        try:
            import keyring  # type: ignore[import-not-found, unused-ignore]
        except ImportError as error:
            raise MissingExtra("keyring", f"{key} in {self.place}") from error
        value = keyring.get_password(service, account)
        if value is None:
            raise BadConfig(self.place, key, f"the keyring holds nothing for {reference}")
        return str(value)


def find(option: Path | None) -> Path | None:
    """The file that holds: the one asked for, else mailmig.toml in this folder, else none."""
    if option is not None:
        return option
    here = Path(FILE_NAME)
    return here if here.is_file() else None


def load(file: Path | None, sections: typing.Iterable[str]) -> Config:
    """Read a configuration; `sections` are the tables that exist.

    Raises:
        BadConfig: the file cannot be read, is no TOML, or has a table that does not exist.
    """
    if file is None:
        return Config()
    try:
        tables = tomllib.loads(file.read_text("utf-8-sig"))
    except OSError as error:
        raise BadConfig(file, "", f"cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(file, "", f"is no TOML: {error}") from error
    known = list(sections)
    for name, table in tables.items():
        if name not in known:
            hint = nearest(name, known)
            if not isinstance(table, dict):
                rooms = ", ".join(f"[{one}]" for one in known)
                raise BadConfig(file, name, f"write the key below its table, one of {rooms}")
            raise BadConfig(file, name, f"there is no such table{hint}")
        if not isinstance(table, dict):
            raise BadConfig(file, name, f"is a table: write [{name}] above its keys")
    return Config(file, tables)


def sample(
    sections: Mapping[str, type[Any]],
    tables: Mapping[str, Mapping[str, Any]] | None = None,
    about: typing.Iterable[str] = (),
) -> str:
    """A file with every key and its description, commented out at its default.

    Keys of `tables` get their values instead (as TOML has them); `about` are lines for the head.
    """
    head = ["Settings of mailmig. A key that is commented out has the value that is shown.", *about]
    parts = ["".join(f"# {line}".rstrip() + "\n" for line in head)]
    for name, cls in sections.items():
        known = (tables or {}).get(name, {})
        title = (cls.__doc__ or "").split("\n")[0].split(": ", 1)[-1]
        lines = [f"# {title[:1].upper()}{title[1:]}", f"[{name}]"]
        for item in _fields(cls):
            lines += [f"# {line}" for line in _wrap(item.metadata.get("help", ""))]
            shown = item.metadata.get("example", _default(item))
            given = item.name in known
            lines.append(
                f"{item.name} = {_toml(known[item.name])}" if given
                else f"#{item.name} = {_toml(shown)}"
            )  # fmt: skip
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def describe(
    config: Config, sections: Mapping[str, type[Any]]
) -> Iterator[tuple[str, str, str]]:  # fmt: skip
    """What holds: (key, value as TOML, origin) for every key of every section."""
    for name, cls in sections.items():
        values = config.section(name, cls)
        for item in _fields(cls):
            given = item.name in config.tables.get(name, {})
            yield (
                f"{name}.{item.name}",
                _toml(getattr(values, item.name)),
                config.place if given else "default",
            )


def _fields(cls: type[Any]) -> tuple[Field[Any], ...]:
    return fields(cls)


def _default(item: Field[Any]) -> Any:
    return item.default if item.default_factory is MISSING else item.default_factory()


def _toml(value: Any) -> str:
    """A value as it would stand in the file; an absent one is an empty text."""
    match value:
        case None:
            return '""'
        case Secret():
            return f'"{MASK}"'
        case Enum():
            return _toml(value.value)
        case bool() | int() | float():
            return str(value).lower()
        case tuple() | list():
            return f"[{', '.join(map(_toml, value))}]"
        case dict():
            inside = ", ".join(f"{_toml_key(k)} = {_toml(v)}" for k, v in value.items())
            return f"{{ {inside} }}" if inside else "{}"
        case _:
            return json.dumps(str(value), ensure_ascii=False)


def _toml_key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else _toml(key)


def _type_in_words(wanted: Any) -> str:
    words = {
        str: "a text", int: "a whole number", float: "a number", bool: "true or false",
        Path: "a path", tuple: "a list", dict: "a table",
    }  # fmt: skip
    return words.get(wanted, str(wanted))


def _wrap(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 96)
