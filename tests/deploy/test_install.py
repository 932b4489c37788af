"""install.sh in a scratch root: releases, hashes, the files it installs, and what it prints."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.support.installations import ROOT, Checkout, ferstream_wheel, make_wheel, uv
from tests.support.pages import broken_links

DEPLOY = ROOT / "deploy"


def version_of(root: Path) -> str:
    return subprocess.run([root / "opt/ferstream/bin/ferstream", "--version"], capture_output=True, text=True, check=True).stdout.strip()


def files_of(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if "releases/" not in str(path.relative_to(root))}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return Checkout.make(tmp_path_factory.mktemp("install"))


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("wheels")
    return {
        "1": ferstream_wheel(folder, "1.0.0"),
        "2": ferstream_wheel(folder, "2.0.0"),
        "3": ferstream_wheel(folder, "3.0.0"),
        "bad": ferstream_wheel(folder, "9.9.9", fails=True),
        "unlocked": ferstream_wheel(folder, "4.0.0", requires="tinydep==2.0.0"),
    }


def test_the_whole_life_of_an_installation(checkout: Checkout, tmp_path: Path, wheels: dict[str, Path]) -> None:
    """Install, again, upgrade, a broken upgrade, a third release, uninstall, purge: one scratch root, because each takes seconds."""
    root = tmp_path / "root with a space"
    first = checkout.install(root, "--wheel", str(wheels["1"]))
    assert version_of(root) == "ferstream 1.0.0"
    settings = root / "etc/ferstream/ferstream.toml"
    unit = root / "etc/systemd/system/ferstream.service"
    assert settings.read_bytes() == (ROOT / "config/ferstream.toml").read_bytes()
    assert unit.read_bytes() == (DEPLOY / "systemd/ferstream.service").read_bytes()
    assert (root / "etc/credstore").stat().st_mode & 0o777 == 0o700
    assert "new: edit it" in first.stdout

    settings.write_text("# mine\n")
    before = files_of(root)
    again = checkout.install(root, "--wheel", str(wheels["1"]))
    assert "installed already" in again.stdout
    assert settings.read_text() == "# mine\n"
    assert files_of(root) - before == {"etc/ferstream/ferstream.toml.example"}

    checkout.install(root, "--wheel", str(wheels["2"]))
    assert version_of(root) == "ferstream 2.0.0"

    broken = checkout.install(root, "--wheel", str(wheels["bad"]), check=False)
    assert broken.returncode != 0
    assert "does not run" in broken.stderr
    assert version_of(root) == "ferstream 2.0.0"

    checkout.install(root, "--wheel", str(wheels["3"]))
    assert version_of(root) == "ferstream 3.0.0"
    assert len(list((root / "opt/ferstream/releases").iterdir())) == 2

    (root / "etc/credstore/ferstream.mqtt_password").write_text("hunter2hunter2")
    gone = checkout.install(root, "--uninstall")
    assert not unit.exists()
    assert not (root / "opt/ferstream").exists()
    assert settings.read_text() == "# mine\n"
    assert "kept" in gone.stdout
    checkout.install(root, "--uninstall", "--purge")
    assert [path for path in root.rglob("*") if not path.is_dir()] == []


@pytest.fixture(scope="module")
def installed(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, Path]) -> tuple[Path, str]:
    """A root with a release in it, and what install.sh printed."""
    root = tmp_path_factory.mktemp("installed") / "root"
    return root, checkout.install(root, "--wheel", str(wheels["1"])).stdout


def test_every_path_that_is_printed_lies_below_the_root(installed: tuple[Path, str]) -> None:
    root, printed = installed
    paths = re.findall(r"(?<![\w.])/[\w./-]+", printed)
    assert len(paths) >= 6
    assert not [path for path in paths if not path.startswith(str(root))]
    assert printed.startswith(f"everything goes below {root}")


def test_the_slow_steps_are_announced(installed: tuple[Path, str]) -> None:
    assert re.search(r"^packages: 1 of uv\.lock into .*, hashes checked; this takes minutes$", installed[1], re.MULTILINE)


def test_a_slow_step_says_that_it_goes_on(checkout: Checkout, tmp_path: Path, wheels: dict[str, Path]) -> None:
    """In a log, where uv draws no bars: here the installation waits until the line was printed."""
    slow = tmp_path / "bin" / "uv"
    slow.parent.mkdir()
    go_on = tmp_path / "go on"
    os.mkfifo(go_on)
    slow.write_text(f'#!/bin/bash\n[[ "$1 $2" != "pip install" ]] || ! mkdir "{go_on}.d" 2>&- || read -r <"{go_on}"\nexec {uv()} "$@"\n')
    slow.chmod(0o755)
    environment = checkout.environment(path=f"{slow.parent}:/usr/local/bin:/usr/bin:/bin") | {"INSTALL_TICK_S": "1"}
    command = ["bash", str(checkout.folder / "deploy/install.sh"), "--root", str(tmp_path / "root"), "--wheel", str(wheels["1"])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as install:
        assert install.stdout is not None
        for line in install.stdout:
            if re.match(r"packages: still at work after \d+ s, \d+ MB installed$", line):
                break
        else:
            pytest.fail("no line was printed")
        go_on.write_text("now\n")
        assert "done" in install.stdout.read()
    assert version_of(tmp_path / "root") == "ferstream 1.0.0"


def test_a_root_can_be_moved(checkout: Checkout, tmp_path: Path, wheels: dict[str, Path]) -> None:
    """As the root of an image is, once it is built."""
    checkout.install(tmp_path / "before", "--wheel", str(wheels["1"]))
    (tmp_path / "before").rename(tmp_path / "after")
    assert version_of(tmp_path / "after") == "ferstream 1.0.0"


def test_links_between_installed_pages_hold(installed: tuple[Path, str]) -> None:
    share = installed[0] / "opt/ferstream/share"
    pages = sorted(share.rglob("*.md"))
    assert {"operations.md", "README.md", "CARD.md"} <= {page.name for page in pages}
    assert {str(page): broken_links(page) for page in pages if broken_links(page)} == {}
    documentation = re.findall(r"^Documentation=file:/(.*)$", (DEPLOY / "systemd/ferstream.service").read_text(), re.MULTILINE)
    assert [(installed[0] / path).is_file() for path in documentation] == [True]


@pytest.mark.parametrize(
    "path",
    [
        "opt/ferstream/share/deploy/grafana/dashboards/node.json",
        "opt/ferstream/share/deploy/prometheus/rules/alerts.yml",
        "opt/ferstream/share/docs/schema/face-1.json",
        "opt/ferstream/share/drop-ins/webcam.conf",
        "opt/ferstream/ferstream-check",
        "etc/ferstream/ferstream.schema.json",
    ],
)
def test_dashboards_rules_schemas_and_the_check_are_installed(installed: tuple[Path, str], path: str) -> None:
    assert (installed[0] / path).is_file()


def test_a_package_with_another_hash_is_refused_and_the_old_release_stays(tmp_path: Path, wheels: dict[str, Path]) -> None:
    checkout = Checkout.make(tmp_path)
    checkout.install(tmp_path / "root", "--wheel", str(wheels["1"]))
    make_wheel(checkout.index, "tinydep", "1.0.0", {"tinydep.py": "VALUE = 'another'\n"})
    checkout.forget_downloads()
    found = checkout.install(tmp_path / "root", "--wheel", str(wheels["2"]), check=False)
    assert found.returncode != 0
    assert "hash mismatch" in found.stderr.lower()
    assert version_of(tmp_path / "root") == "ferstream 1.0.0"


def test_a_wheel_that_needs_other_packages_than_the_lock_is_refused(checkout: Checkout, tmp_path: Path, wheels: dict[str, Path]) -> None:
    found = checkout.install(tmp_path, "--wheel", str(wheels["unlocked"]), check=False)
    assert found.returncode != 0
    assert "does not fit the packages of uv.lock" in found.stderr


def test_an_extra_makes_a_release_of_its_own(checkout: Checkout, tmp_path: Path, wheels: dict[str, Path]) -> None:
    checkout.install(tmp_path, "--wheel", str(wheels["1"]), "--extra", "more")
    assert (tmp_path / "opt/ferstream/bin").readlink().parts[1].endswith("-more")


@pytest.mark.parametrize("right", [True, False], ids=["the right hash", "another hash"])
def test_uv_is_fetched_with_its_hash_where_there_is_none(tmp_path: Path, wheels: dict[str, Path], right: bool) -> None:
    checkout = Checkout.make(tmp_path)
    code = f"import os, sys\ndef main():\n    os.execv({str(uv())!r}, ['uv', *sys.argv[1:]])\n"
    wheel = make_wheel(checkout.index, "uv", "0.99.0", {"uv_stub.py": code}, script="uv")
    digest = hashlib.sha256(wheel.read_bytes() if right else b"").hexdigest()
    (checkout.folder / "deploy/tools.txt").write_text(f"uv==0.99.0 --hash=sha256:{digest}\n")
    found = checkout.install(tmp_path / "root", "--wheel", str(wheels["1"]), check=False, path="/usr/local/bin:/usr/bin:/bin")
    assert "uv: fetching it" in found.stdout
    if right:
        assert version_of(tmp_path / "root") == "ferstream 1.0.0", found.stderr
    else:
        assert found.returncode != 0
        assert "HASH" in found.stderr


def test_every_tool_has_hashes_and_builds_this_project() -> None:
    tools = (DEPLOY / "tools.txt").read_text()
    pinned = re.findall(r"^([\w-]+)==\S+ \\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", tools, re.MULTILINE)
    names = {name for name, _ in pinned}
    assert names == set(re.findall(r"^([\w-]+)==", tools, re.MULTILINE))
    assert "uv" in names
    with (ROOT / "pyproject.toml").open("rb") as file:
        assert {re.split(r"[><=~]", each)[0] for each in tomllib.load(file)["build-system"]["requires"]} <= names


def test_every_locked_package_of_the_service_has_a_wheel() -> None:
    """install.sh builds nothing: what would build it is not in the lock."""
    with (ROOT / "uv.lock").open("rb") as file:
        packages = {package["name"]: package for package in tomllib.load(file)["package"]}
    waiting, seen = [dependency["name"] for dependency in packages["ferstream"]["dependencies"]], set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [dependency["name"] for dependency in packages[name].get("dependencies", [])]
    assert len(seen) > 30
    assert sorted(name for name in seen if not packages[name].get("wheels")) == []


def test_the_source_archive_has_what_the_script_reads() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        included = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    pages = re.findall(r"^readonly PAGES=\((.*)\)$", (DEPLOY / "install.sh").read_text(), re.MULTILINE)[0].split()
    needed = [*pages, "models", "uv.lock"]
    assert [path for path in needed if not any(path == each or path.startswith(f"{each}/") for each in included)] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--wheel"], "needs a value"),
        (["--wheel", "/none.whl"], "is not a file"),
        (["--frobnicate"], "unknown option --frobnicate"),
        (["--extra", "frobnication"], "has no extra frobnication"),
    ],
)
def test_wrong_arguments_are_reported(checkout: Checkout, tmp_path: Path, options: list[str], message: str) -> None:
    found = checkout.install(tmp_path, *options, check=False)
    assert found.returncode != 0
    assert message in found.stderr


def test_a_script_without_its_checkout_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy/install.sh").write_bytes((DEPLOY / "install.sh").read_bytes())
    found = subprocess.run(
        ["bash", tmp_path / "deploy/install.sh", "--root", tmp_path / "root"], capture_output=True, text=True, check=False
    )
    assert found.returncode != 0
    assert "has no uv.lock" in found.stderr


def test_help_is_shown() -> None:
    shown = subprocess.run(["bash", str(DEPLOY / "install.sh"), "--help"], capture_output=True, text=True, check=True)
    assert "--uninstall" in shown.stdout
