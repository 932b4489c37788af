"""Model bundles: folders ``<models>/<name>/<version>/`` with a manifest that is verified when they are loaded.

A bundle has ``manifest.json``, a description ``CARD.md``, and the files that backends load: ``openvino.xml``,
``openvino.bin``, ``model.keras``; some have ``heads.npz``, which training reads. The manifest has the sha256 of each of
these files, so that an incomplete or exchanged file is an error before the model is used.
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
from ferstream.runtime.program import command

MANIFEST = "manifest.json"
CARD = "CARD.md"
KERAS_FILE = "model.keras"
OPENVINO_XML = "openvino.xml"
OPENVINO_BIN = "openvino.bin"
HEADS_FILE = "heads.npz"
"""Both heads of a model that was trained with two, for another balance or more training (``training/bundle_heads.py``)."""

MAX_MANIFEST_BYTES = 1_000_000
"""A longer manifest is refused unread."""
_NAMED = 5
"""Number of files of a folder that a message names."""
_PRE_RELEASE = re.compile(r"[-.]?(a|b|c|rc|alpha|beta|pre|preview|dev)[-.]?\d*$|-")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(/[0-9][a-z0-9.+-]*)?")
_PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified model on disk.

    Attributes:
        directory: Folder of the bundle.
        manifest: Its manifest.
    """

    directory: Path
    manifest: Manifest

    def has(self, name: str) -> bool:
        """Return whether the bundle has this file."""
        return name in self.manifest.files

    def file(self, name: str) -> Path:
        """Return the path of a verified file.

        Raises:
            BundleError: The bundle does not have it.
        """
        if not self.has(name):
            listed = ", ".join(sorted(self.manifest.files))
            msg = f"model {self.directory}: has no {name}, only {listed}; choose another backend or export it again"
            raise BundleError(msg)
        return self.directory / name


def default_search_paths() -> tuple[Path, ...]:
    """Return the folders that are searched for names: the models of an installed wheel, and those of a checkout.

    The working directory is not searched: whoever can write there could put a model in the place of the shipped one.
    """
    packaged = _PACKAGE / "models"
    is_checkout = (_PACKAGE.parent / "pyproject.toml").is_file()
    return (packaged, _PACKAGE.parent / "models") if is_checkout else (packaged,)


def known_models(search: Sequence[Path] | None = None) -> tuple[str, ...]:
    """Return ``name/version`` of every bundle under the search paths, sorted by name, highest version first."""
    found = {(path.parent.name, path.name) for root in _roots(search) for path in _bundles_under(root)}
    highest_first = sorted(found, key=lambda item: _version_key(item[1]), reverse=True)
    return tuple(f"{name}/{version}" for name, version in sorted(highest_first, key=lambda item: item[0]))


def resolve(model: str | Path, search: Sequence[Path] | None = None) -> Path:
    """Return the folder of a model.

    Args:
        model: ``name`` (highest version) or ``name/version``, looked up in ``search``; or a folder of a bundle, or of the
            versions of one. A folder whose text has the form of a name is written ``./name``.
        search: Folders that hold ``<name>/<version>``; default ``default_search_paths()``.

    Raises:
        BundleError: The model was not found; the message lists the known ones.
    """
    if isinstance(model, str) and _NAME.fullmatch(model):
        name, _, version = model.partition("/")
        found = [p for root in _roots(search) for p in _bundles_under(root) if p.parent.name == name and version in {"", p.name}]
        why = "no such model" + _elsewhere(model)
    else:
        folder = Path(model).expanduser()
        found = [folder] if (folder / MANIFEST).is_file() else [path.parent for path in folder.glob(f"*/{MANIFEST}")]
        why = _not_a_bundle(folder)
    if found:
        return max(found, key=lambda path: _version_key(path.name))
    known = ", ".join(known_models(search)) or "none"
    raise BundleError(f"model {str(model)!r}: {why}; known models: {known}")


def _not_a_bundle(path: Path) -> str:
    """Return why a path is not a bundle, with a remedy."""
    if path.is_dir():
        return f"the folder has no {MANIFEST}"
    if not path.exists():
        return "no such model or folder"
    if path.is_file() and path.stat().st_size == 0:
        return "the file is empty (0 bytes), and a model is a folder"
    if (path.parent / MANIFEST).is_file():
        return f"is a file of a bundle; give its folder, {path.parent}"
    return f"is a file, and a model is a folder; {command('import-model')} makes one from a .keras, .h5 or .json"


def _elsewhere(name: str) -> str:
    """Return a hint where the working directory has a folder of this name, which is used only if it is named as a folder."""
    folders = (Path(name), Path("models", name))
    return next((f" (to use the folder, write ./{folder})" for folder in folders if folder.is_dir()), "")


def load_bundle(model: str | Path, search: Sequence[Path] | None = None) -> Bundle:
    """Find a bundle and verify its manifest and the sha256 of every file.

    Args:
        model: ``name``, ``name/version`` or a folder.
        search: Folders that hold ``<name>/<version>``; default ``default_search_paths()``.

    Raises:
        BundleError: The bundle was not found or is damaged; the message names the file and a remedy.
    """
    directory = resolve(model, search)
    manifest = _read_manifest(directory / MANIFEST)
    for name, digest in manifest.files.items():
        _verify(directory / name, digest)
    return Bundle(directory=directory, manifest=manifest)


def write_bundle(*, directory: Path, files: Mapping[str, Path], card: str = "", replace: bool = False, **fields: Any) -> Bundle:
    """Write a bundle; its folder appears when it is complete.

    Args:
        directory: Target, ``.../<name>/<version>``.
        files: Files to copy, by their names in the bundle.
        card: Text of ``CARD.md``; empty for none.
        replace: Whether to replace an existing bundle; a folder with other content is never replaced.
        **fields: Fields of ``Manifest`` except ``files``; at least ``name`` and ``version``.

    Raises:
        BundleError: The target exists, a field is invalid, or a file cannot be written.
    """
    _check_directory(directory, replace=replace)
    try:
        digests = {name: sha256(path) for name, path in sorted(files.items())}
        manifest = Manifest(files=digests, **fields)
        _copy_into_place(directory, manifest, files, card)
    except ValidationError as exc:
        raise BundleError(f"model {directory}: {_first_error(exc)}") from exc
    except OSError as exc:
        raise BundleError(f"model {directory}: cannot be written: {exc.strerror or exc}") from exc
    return load_bundle(directory)


def check_target(*, directory: Path, name: str, version: str, replace: bool = False) -> None:
    """Check, before a long training, that ``write_bundle`` will accept this target.

    Raises:
        BundleError: The name or version is invalid, or the target exists and is not to be replaced.
    """
    try:
        Manifest(name=name, version=version, files={MANIFEST: ""})
    except ValidationError as exc:
        raise BundleError(f"model {directory}: {_first_error(exc)}") from exc
    _check_directory(directory, replace=replace)


def sha256(path: Path) -> str:
    """Return the sha256 of a file in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def manifest_text(manifest: Manifest) -> str:
    """Return the manifest as indented JSON, always in the same order."""
    return json.dumps(manifest.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False) + "\n"


def _check_directory(directory: Path, *, replace: bool) -> None:
    """Raise unless the folder is free or a bundle to replace; other content is never deleted."""
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
        msg = f"model {directory}: is not a bundle (no {MANIFEST}) but holds {what}; it is not replaced: choose another folder or empty it"
        raise BundleError(msg)


def _copy_into_place(directory: Path, manifest: Manifest, files: Mapping[str, Path], card: str) -> None:
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
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise BundleError(f"model {path}: is longer than {MAX_MANIFEST_BYTES:,} bytes")
        if path.stat().st_size == 0:
            raise BundleError(f"model {path}: is empty (0 bytes); copy the whole bundle again")
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as exc:
        raise BundleError(f"model {path}: {_first_error(exc)}") from exc
    except OSError as exc:
        raise BundleError(f"model {path}: cannot be read: {exc.strerror or exc}") from exc


def _first_error(exc: ValidationError) -> str:
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
    if actual != expected and path.stat().st_size == 0:
        raise BundleError(f"model {path}: is empty (0 bytes); copy the whole bundle again")
    if actual != expected:
        hashes = f"sha256 is {actual[:12]}..., the manifest says {expected[:12]}..."
        msg = f"model {path}: {hashes}; copy the whole bundle again or export the model again"
        raise BundleError(msg)


def _roots(search: Iterable[Path] | None) -> tuple[Path, ...]:
    return tuple(search) if search is not None else default_search_paths()


def _bundles_under(root: Path) -> list[Path]:
    return sorted(path.parent for path in root.glob(f"*/*/{MANIFEST}"))


def _version_key(version: str) -> tuple[tuple[int, ...], bool, tuple[tuple[int, str], ...]]:
    """Return a sort key: versions by number, ``1.0.0rc1`` and ``1.0.0-rc.1`` below their release, ``1.0.0+2`` above it."""
    digits = re.match(r"\d+(\.\d+)*", version)
    numbers = tuple(int(part) for part in digits.group().split(".")) if digits else ()
    rest = version[digits.end() :] if digits else version
    parts = tuple((int(part), "") if part.isdecimal() else (-1, part) for part in re.findall(r"\d+|\D+", rest))
    return numbers, not _PRE_RELEASE.match(rest), parts
