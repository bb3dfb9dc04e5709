"""How results are handed over: a file is whole or not there, and nothing else is replaced."""

import os
import stat
from pathlib import Path
from threading import Thread

import pytest

from mailmig.cli.frame import CannotWrite, write_whole


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_bytes(b"old")
    write_whole(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_stays_a_link_and_its_file_is_replaced(tmp_path: Path) -> None:
    file, link = tmp_path / "plan-7.json", tmp_path / "plan.json"
    file.write_bytes(b"old")
    link.symlink_to(file)
    write_whole(link, b"new")
    assert link.is_symlink()
    assert file.read_bytes() == b"new"


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    """A pipe stands for every device: as root, a rename would replace /dev/stdout itself."""
    pipe, came = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    keeper = os.open(pipe, os.O_RDWR)  # neither side waits for the other, whatever happens
    reader = Thread(target=lambda: came.append(os.read(keeper, 100)), daemon=True)
    reader.start()
    try:
        write_whole(pipe, b"plan")
        assert stat.S_ISFIFO(pipe.lstat().st_mode)
        reader.join(10)
        assert came == [b"plan"]
    finally:
        os.write(keeper, b"end")
        reader.join(10)
        os.close(keeper)


def test_a_folder_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / "plan.json").mkdir()
    with pytest.raises(CannotWrite, match="Is a directory; nothing was changed there"):
        write_whole(tmp_path / "plan.json", b"new")
    assert list(tmp_path.iterdir()) == [tmp_path / "plan.json"]
