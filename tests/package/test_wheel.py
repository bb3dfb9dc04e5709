"""sdist -> wheel -> fresh environment: what an admin installs is what runs here."""

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*words: object, cwd: Path | None = None, code: int = 0) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        check=False,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with sdist and wheel; `build` makes the wheel from the sdist."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", out, ROOT)
    return out


@pytest.fixture(scope="session")
def fresh(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with the plain wheel in it: no extra, no tool of ours."""
    venv = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", venv)
    (wheel,) = built.glob("*.whl")
    run(venv / "bin" / "python", "-m", "pip", "install", "--quiet", wheel)
    return venv / "bin"


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    inside = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    tracked = run(
        "git",
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "mailmig",
        "checks",
        cwd=ROOT,
    )
    here = [line for line in tracked.split() if (ROOT / line).is_file()]
    assert inside == {line if line.startswith("mailmig/") else f"mailmig/{line}" for line in here}


def test_the_sdist_holds_tests_and_docs(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {"README.md", "CHANGELOG.md", "LICENSE", "Makefile", "tests/conftest.py"} <= names


def test_the_installed_command_does_the_main_job(fresh: Path, tmp_path: Path) -> None:
    def mailmig(*words: object, code: int = 0) -> str:
        return run(
            fresh / "mailmig", "--state", tmp_path / "state", *words, cwd=tmp_path, code=code
        )

    assert mailmig("--version").startswith("mailmig, version ")
    mailmig("lab", "export", "exports", "--story", "town")
    mailmig("inventory", "import", "exports")
    assert "Stadt Lindenstadt" in mailmig("inventory", "list")
    mailmig("plan", "make", "--calendar", "exports/calendar", "--out", "plan.json")
    assert json.loads((tmp_path / "plan.json").read_text("utf-8"))["assignments"]
    mailmig("report", "quota", "--target-defaults", "--format", "csv", "--out", "quota.csv")
    assert (tmp_path / "quota.csv").stat().st_size > 10_000
    assert "Get-Mailbox" in mailmig("collect", "--script")


@pytest.mark.parametrize("form", ["html", "xlsx"])
def test_a_plain_install_says_which_extra_is_missing(
    fresh: Path, tmp_path: Path, form: str
) -> None:
    state = tmp_path / "state"
    run(fresh / "mailmig", "lab", "export", tmp_path / "x", "--story", "town")
    run(fresh / "mailmig", "--state", state, "inventory", "import", tmp_path / "x")
    said = run(
        fresh / "mailmig", "--state", state, "report", "quota", "--target-defaults",
        "--format", form, "--out", tmp_path / f"quota.{form}", code=2,
    )  # fmt: skip
    assert "pip install 'mailmig[report]'" in said
    assert not (tmp_path / f"quota.{form}").exists()


def test_the_installed_package_is_typed_for_its_users(fresh: Path, tmp_path: Path) -> None:
    run(fresh / "python", "-m", "pip", "install", "--quiet", "mypy")
    (tmp_path / "user.py").write_text(
        "from mailmig.model.quota import Quotas\nprint(Quotas().no_such_limit)\n"
    )
    said = run(fresh / "python", "-m", "mypy", "--strict", "user.py", cwd=tmp_path, code=1)
    assert 'has no attribute "no_such_limit"' in said


def test_the_checks_are_found_in_the_installed_package(fresh: Path, tmp_path: Path) -> None:
    listed = run(fresh / "mailmig", "check", "list", cwd=tmp_path)
    assert "tls.expiry" in listed and "namespace.round_robin_set" in listed
