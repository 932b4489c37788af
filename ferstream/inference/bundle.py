"""Model bundles on disk: ``<models>/<name>/<version>/`` with a manifest that is verified at load.

A bundle holds ``manifest.json``, ``CARD.md`` for people, and what backends load: ``openvino.xml``,
``openvino.bin``, ``model.keras``. The sha256 of each of the latter is in the manifest, so a half
copied or exchanged file is refused before it labels anyone.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ferstream.errors import BundleError
from ferstream.inference.manifest import Manifest

MANIFEST = "manifest.json"
CARD = "CARD.md"
KERAS_FILE = "model.keras"
OPENVINO_XML = "openvino.xml"
OPENVINO_BIN = "openvino.bin"

_NAMED = 5
"""Files of a folder that a message names."""
_PRE_RELEASE = re.compile(r"[-.]?(a|b|c|rc|alpha|beta|pre|preview|dev)[-.]?\d*$|-")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(/[0-9][a-z0-9.+-]*)?")
_PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified model on disk.

    Attributes:
        directory: Folder of the bundle.
        manifest: What it says about itself.
    """

    directory: Path
    manifest: Manifest

    def has(self, name: str) -> bool:
        """Tell whether the bundle carries this file."""
        return name in self.manifest.files

    def file(self, name: str) -> Path:
        """Return the path of a verified file.

        Raises:
            BundleError: The bundle does not carry it.
        """
        if not self.has(name):
            carried = ", ".join(sorted(self.manifest.files))
            msg = f"model {self.directory}: has no {name}, only {carried}; choose another backend or export it again"
            raise BundleError(msg)
        return self.directory / name


def default_search_paths() -> tuple[Path, ...]:
    """Return where models are looked for: ``./models``, a checkout's ``models/``, the installed wheel's."""
    return (Path("models"), _PACKAGE.parent / "models", _PACKAGE / "models")


def known_models(search: Sequence[Path] | None = None) -> tuple[str, ...]:
    """Return ``name/version`` of every bundle under the search paths, sorted by name, highest version first."""
    found = {(path.parent.name, path.name) for root in _roots(search) for path in _bundles_under(root)}
    highest_first = sorted(found, key=lambda item: _version_key(item[1]), reverse=True)
    return tuple(f"{name}/{version}" for name, version in sorted(highest_first, key=lambda item: item[0]))


def resolve(model: str | Path, search: Sequence[Path] | None = None) -> Path:
    """Return the folder of a model given as ``name`` (highest version), ``name/version`` or a folder.

    Raises:
        BundleError: There is none; the message lists the known ones.
    """
    folder = Path(model).expanduser()
    if (folder / MANIFEST).is_file():
        return folder
    if isinstance(model, str) and _NAME.fullmatch(model):
        name, _, version = model.partition("/")
        matches = [p for root in _roots(search) for p in _bundles_under(root) if p.parent.name == name and version in {"", p.name}]
        if matches:
            return max(matches, key=lambda path: _version_key(path.name))
    known = ", ".join(known_models(search)) or "none"
    why = f"the folder has no {MANIFEST}" if folder.is_dir() else "no such model or folder"
    msg = f"model {str(model)!r}: {why}; known models: {known}"
    raise BundleError(msg)


def load_bundle(model: str | Path, search: Sequence[Path] | None = None) -> Bundle:
    """Find a bundle and verify its manifest and the sha256 of every file.

    Args:
        model: ``name``, ``name/version`` or a folder.
        search: Folders that hold ``<name>/<version>``; default ``default_search_paths()``.

    Raises:
        BundleError: Not found, or anything in it does not fit; the message names the file and what to do.
    """
    directory = resolve(model, search)
    manifest = _read_manifest(directory / MANIFEST)
    for name, digest in manifest.files.items():
        _verify(directory / name, digest)
    return Bundle(directory=directory, manifest=manifest)


def write_bundle(*, directory: Path, files: Mapping[str, Path], card: str = "", replace: bool = False, **fields: Any) -> Bundle:
    """Write a bundle in one step: a folder that is complete or does not exist.

    Args:
        directory: Target, ``.../<name>/<version>``.
        files: Prepared files by the name they get in the bundle; copied.
        card: Text of ``CARD.md``; none is written when empty.
        replace: Whether an existing bundle there is replaced; a folder of anything else never is.
        **fields: Fields of ``Manifest`` but ``files``: at least ``name`` and ``version``.

    Raises:
        BundleError: The target exists, a field does not fit, or the disk refuses.
    """
    _check_place(directory, replace=replace)
    try:
        digests = {name: sha256(path) for name, path in sorted(files.items())}
        manifest = Manifest(files=digests, **fields)
        _place(directory, manifest, files, card)
    except ValidationError as exc:
        raise BundleError(f"model {directory}: {_first_fault(exc)}") from exc
    except OSError as exc:
        raise BundleError(f"model {directory}: cannot be written: {exc.strerror or exc}") from exc
    return load_bundle(directory)


def check_target(*, directory: Path, name: str, version: str, replace: bool = False) -> None:
    """Find out before long work whether ``write_bundle`` will take this target.

    Raises:
        BundleError: The name or version does not fit, or what is there may not be replaced.
    """
    try:
        Manifest(name=name, version=version, files={MANIFEST: ""})
    except ValidationError as exc:
        raise BundleError(f"model {directory}: {_first_fault(exc)}") from exc
    _check_place(directory, replace=replace)


def sha256(path: Path) -> str:
    """Return the hex sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def manifest_text(manifest: Manifest) -> str:
    """Return the manifest as stable, readable JSON."""
    return json.dumps(manifest.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False) + "\n"


def _check_place(directory: Path, *, replace: bool) -> None:
    """Let only a bundle be replaced: a mistyped folder must not cost its owner what is in it."""
    if not directory.exists():
        return
    if not replace:
        raise BundleError(f"model {directory}: exists already; choose another version or folder, or replace it explicitly")
    if not directory.is_dir():
        raise BundleError(f"model {directory}: is a file, not a bundle; it is not replaced: choose another folder")
    held = sorted(path.name for path in directory.iterdir())
    if held and not (directory / MANIFEST).is_file():
        more = f" and {len(held) - _NAMED} more" if len(held) > _NAMED else ""
        what = ", ".join(held[:_NAMED]) + more
        msg = f"model {directory}: is no bundle (no {MANIFEST}) but holds {what}; it is not replaced: choose another folder or empty it"
        raise BundleError(msg)


def _place(directory: Path, manifest: Manifest, files: Mapping[str, Path], card: str) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}-") as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        for name, path in files.items():
            shutil.copyfile(path, new / name)
        if card:
            (new / CARD).write_text(card, encoding="utf-8")
        (new / MANIFEST).write_text(manifest_text(manifest), encoding="utf-8")
        if directory.exists():
            directory.rename(Path(scratch) / "old")
        new.rename(directory)


def _read_manifest(path: Path) -> Manifest:
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as exc:
        raise BundleError(f"model {path}: {_first_fault(exc)}") from exc
    except OSError as exc:
        raise BundleError(f"model {path}: cannot be read: {exc.strerror or exc}") from exc


def _first_fault(exc: ValidationError) -> str:
    fault = exc.errors(include_url=False)[0]
    where = ".".join(str(part) for part in fault["loc"]) or "JSON"
    return f"{where}: {fault['msg'].removeprefix('Value error, ')}"


def _verify(path: Path, expected: str) -> None:
    if not path.is_file():
        raise BundleError(f"model {path}: is missing, the manifest lists it; copy the whole bundle again")
    try:
        actual = sha256(path)
    except OSError as exc:
        raise BundleError(f"model {path}: cannot be read: {exc.strerror or exc}") from exc
    if actual != expected:
        hashes = f"sha256 is {actual[:12]}..., the manifest says {expected[:12]}..."
        msg = f"model {path}: {hashes}; copy the whole bundle again or export the model again"
        raise BundleError(msg)


def _roots(search: Iterable[Path] | None) -> tuple[Path, ...]:
    return tuple(search) if search is not None else default_search_paths()


def _bundles_under(root: Path) -> list[Path]:
    return sorted(path.parent for path in root.glob(f"*/*/{MANIFEST}"))


def _version_key(version: str) -> tuple[tuple[int, ...], bool, tuple[tuple[int, str], ...]]:
    """Order versions by number, a pre-release (``1.0.0rc1``, ``1.0.0-rc.1``) below its release, ``1.0.0+2`` and the like above it."""
    digits = re.match(r"\d+(\.\d+)*", version)
    numbers = tuple(int(part) for part in digits.group().split(".")) if digits else ()
    rest = version[digits.end() :] if digits else version
    parts = tuple((int(part), "") if part.isdecimal() else (-1, part) for part in re.findall(r"\d+|\D+", rest))
    return numbers, not _PRE_RELEASE.match(rest), parts
