"""Passwords that were refused: one small file per account in the folder `logons` of the state.

The file never holds a password, only a fingerprint (scrypt with a salt of the file's own), so that
another password is known as another. It is written before a password is shown ("open") and again
when the answer is there: so a process that is killed in between leaves a trace, too. A password
that is accepted leaves none.

While one process shows an account's password, others wait at the account's lock: a lock of the
operating system, which goes away with its process. Its file stays.

An attempt whose end nobody learned counts as wrong for `SETTLED_AFTER`. Windows forgets wrong
attempts after the time that the domain's lockout policy names, 30 minutes by its proposal [MEM].
"""

import hashlib
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final

from mailmig.model.errors import USAGE
from mailmig.model.logon import LogonHeld, LogonUnsettled, RefusedBefore, account_key
from mailmig.model.secret import Secret
from mailmig.store import folder as folders

FOLDER: Final = "logons"
SETTLED_AFTER: Final = timedelta(minutes=30)
# Longer than any server takes to answer a logon.
PATIENCE_S: Final = 90.0
# Passwords of one account that are remembered; the oldest go.
REMEMBERED: Final = 20
_VERSION: Final = 1
_PAUSE_S: Final = 0.02
# 16 MiB and some 50 ms for one try: slow enough for whoever guesses, once per run for us.
_COST: Final = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}


class LogonBusy(LogonHeld):
    """Another process is logging on with the account for long: look at it, or end it."""

    def __init__(self, account: str, waited_s: float) -> None:
        super().__init__(
            f"{account}: another mailmig has been logging on with it for {waited_s:g} s; nothing "
            "was sent: try again when it has ended"
        )
        self.account = account
        self.waited_s = waited_s


class LogonRecordUnusable(LogonHeld):
    """What is known about refused passwords cannot be read or written: look at the file."""

    exit_code = USAGE

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"{file}: {reason}; no password was shown")
        self.file = file
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Entry:
    """One password of the account. `refused` is "" while the end of the attempt is not known."""

    fingerprint: str
    server: str
    at: str
    refused: str = ""


class Logons:
    """The record of a state folder (`mailmig.model.logon.LogonRecord`). Blocking.

    With `retry`, what stands there counts for nothing the first time that the password is shown.
    Raises `FolderUnusable` and `FolderOpenToOthers` when it is made.
    """

    def __init__(
        self,
        state: Path,
        *,
        retry: bool = False,
        patience_s: float = PATIENCE_S,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        folders.prepare(state)
        self._folder = state / FOLDER
        folders.prepare(self._folder)
        self._retry = retry
        self._retried: set[tuple[str, Secret]] = set()
        self._seen: dict[tuple[str, Secret], tuple[int, int]] = {}  # files that `look` has read
        self._patience_s = patience_s
        self._now = now

    @contextmanager
    def attempt(self, account: str, password: Secret, server: str) -> Iterator["_Attempt"]:
        """See `LogonRecord.attempt`.

        Raises:
            RefusedBefore, LogonUnsettled: as there.
            LogonBusy: another process does not come to an end.
            LogonRecordUnusable: the file cannot be read or written.
        """
        key = account_key(account)
        with _locked(self._path(key, "lock"), account, self._patience_s):
            file = _File(self._path(key, "json"), account)
            mark = file.fingerprint(key, password)
            found = next((one for one in file.entries if one.fingerprint == mark), None)
            if found is not None and not self._is_retry(key, password):
                self._judge(account, found, file)
            at = self._now().astimezone(UTC).isoformat(timespec="seconds")
            file.put(_Entry(mark, server, at))
            attempt = _Attempt(file, _Entry(mark, server, at), found)
            yield attempt

    def look(self, account: str, password: Secret) -> None:
        """See `LogonRecord.look`.

        Raises:
            RefusedBefore: as there.
            LogonRecordUnusable: the file cannot be read.
        """
        key = account_key(account)
        path = self._path(key, "json")
        try:
            state = path.stat()
        except FileNotFoundError:
            return
        except OSError as error:
            raise LogonRecordUnusable(path, folders.reason(error)) from error
        seen = state.st_ino, state.st_mtime_ns
        if self._seen.get((key, password)) == seen:
            return  # a fingerprint takes long, and Basic asks for each request
        file = _File(path, account)
        if any(one.refused for one in file.entries):
            mark = file.fingerprint(key, password)
            for one in file.entries:
                if one.fingerprint == mark and one.refused:
                    raise RefusedBefore(account, one.server, file.moment(one), one.refused)
        self._seen[key, password] = seen

    def _path(self, key: str, kind: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.{kind}"

    def _is_retry(self, key: str, password: Secret) -> bool:
        first = (key, password) not in self._retried
        self._retried.add((key, password))
        return self._retry and first

    def _judge(self, account: str, found: _Entry, file: "_File") -> None:
        at = file.moment(found)
        if found.refused:
            raise RefusedBefore(account, found.server, at, found.refused)
        if self._now() < at + SETTLED_AFTER:
            raise LogonUnsettled(account, found.server, at, at + SETTLED_AFTER)


class _Attempt:
    """One password being shown; what is told here is written at once."""

    def __init__(self, file: "_File", entry: _Entry, before: _Entry | None) -> None:
        self._file = file
        self._entry = entry
        self._before = before

    def accepted(self) -> None:
        self._file.drop(self._entry.fingerprint)

    def refused(self, reason: str) -> None:
        entry = self._entry
        said = " ".join(reason.split())[:300] or "no reason given"
        self._file.put(_Entry(entry.fingerprint, entry.server, entry.at, said))

    def unshown(self) -> None:
        if self._before is None:
            self.accepted()
        else:
            self._file.put(self._before)


class _File:
    """What is known about one account."""

    def __init__(self, path: Path, account: str) -> None:
        self._path = path
        self._account = account
        self._salt, self.entries = secrets.token_bytes(16), list[_Entry]()
        try:
            known = json.loads(path.read_bytes())
        except FileNotFoundError:
            return
        except OSError as error:
            raise LogonRecordUnusable(path, folders.reason(error)) from error
        except ValueError as error:
            raise self._broken() from error
        self._take(known)

    def fingerprint(self, key: str, password: Secret) -> str:
        text = f"{key}\0{password.reveal()}".encode("utf-8", "surrogatepass")
        return hashlib.scrypt(text, salt=self._salt, **_COST).hex()

    def moment(self, entry: _Entry) -> datetime:
        try:
            return datetime.fromisoformat(entry.at).astimezone(UTC)
        except ValueError as error:
            raise self._broken() from error

    def put(self, entry: _Entry) -> None:
        others = [one for one in self.entries if one.fingerprint != entry.fingerprint]
        self.entries = [*others, entry][-REMEMBERED:]
        self._write()

    def drop(self, fingerprint: str) -> None:
        self.entries = [one for one in self.entries if one.fingerprint != fingerprint]
        self._write()

    def _take(self, known: Any) -> None:
        try:
            if known["version"] != _VERSION:
                raise LogonRecordUnusable(
                    self._path, "it was written by a newer mailmig: use that one"
                )
            self._salt = bytes.fromhex(known["salt"])
            self.entries = [_Entry(**one) for one in known["refused"]]
            whole = all(
                isinstance(part, str) for one in self.entries for part in asdict(one).values()
            )
        except (KeyError, TypeError, ValueError) as error:
            raise self._broken() from error
        if not whole:
            raise self._broken()

    def _broken(self) -> LogonRecordUnusable:
        return LogonRecordUnusable(
            self._path,
            f"what it says about refused passwords of {self._account} cannot be read: delete the "
            "file if the configured one is right",
        )

    def _write(self) -> None:
        """The old file or the new one, whenever the power fails."""
        if not self.entries:
            with self._in_words():
                self._path.unlink(missing_ok=True)
            return
        known = {
            "version": _VERSION, "account": account_key(self._account), "salt": self._salt.hex(),
            "refused": [asdict(one) for one in self.entries],
        }  # fmt: skip
        with self._in_words():
            handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=".logon-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as stream:
                    json.dump(known, stream, ensure_ascii=False, indent=1)
                    stream.flush()
                    os.fsync(stream.fileno())
                Path(name).replace(self._path)
            except BaseException:
                with suppress(OSError):
                    Path(name).unlink()
                raise

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise LogonRecordUnusable(self._path, folders.reason(error)) from error


@contextmanager
def _locked(path: Path, account: str, patience_s: float) -> Iterator[None]:
    """The operating system's lock on a file; it ends with the process that holds it."""
    try:
        file = path.open("a+b")
    except OSError as error:
        raise LogonRecordUnusable(path, folders.reason(error)) from error
    with file:
        end = time.monotonic() + patience_s
        while not _try(file, path):
            if time.monotonic() > end:
                raise LogonBusy(account, patience_s)
            time.sleep(_PAUSE_S)
        try:
            yield
        finally:
            _unlock(file)


def _try(file: IO[bytes], path: Path) -> bool:
    try:
        return _lock(file)
    except OSError as error:  # a file system without locks
        reason = f"locks do not work there ({folders.reason(error)})"
        raise LogonRecordUnusable(path, reason) from error


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
