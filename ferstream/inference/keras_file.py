"""Checks a Keras file before Keras reads it: its kind, its sizes, and that it brings no code. Keras is not imported.

Keras chooses how to read a file by the end of its name. The same rule applies here, so that the check and Keras read the
same content; a file whose content is of another kind is refused.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ferstream.errors import ModelError, first_line
from ferstream.runtime.input_file import refuse_pipe

if TYPE_CHECKING:
    import h5py

MAX_FILE_BYTES = 512_000_000
"""Largest file."""
MAX_CONFIG_BYTES = 4_000_000
"""Largest architecture, as JSON; that of EfficientNetB7 has about one megabyte."""
MAX_DEPTH = 100
"""Deepest nesting of an architecture."""
MAX_MEMBERS = 1000
"""Most files in a ``.keras`` archive."""
MAX_GROWTH = 20
"""Content may be so many times larger than its file, plus ``_GROWTH_BYTES``. Keras compresses neither archives nor weights."""
_GROWTH_BYTES = 16_000_000
_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_ZIP_OPENING = b"PK\x03\x04"
_HDF5_OPENING = b"\x89HDF\r\n\x1a\n"
_LAYERS_WITH_CODE = frozenset({"Lambda", "__lambda__", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"})
"""Layers of Keras whose configuration contains code or a pickle."""
TRUSTED_MODULES = ("keras", "builtins")


class KerasFormat(StrEnum):
    """What Keras reads a file as."""

    ARCHIVE = ".keras"
    HDF5 = ".h5"
    JSON = ".json"


def check_keras_file(path: Path) -> None:
    """Check a whole model, ``.keras`` or ``.h5``, before it is given to Keras.

    Raises:
        ModelError: The file is not what its name says, too large, damaged, or brings code.
    """
    refuse_code(read_config(path), path)


def format_of(path: Path) -> KerasFormat:
    """Return what Keras reads a file as, by the end of its name; check that the content begins like that.

    Raises:
        ModelError: Keras reads no such files, or the content is of another kind.
    """
    name = str(path)
    if name.endswith(KerasFormat.JSON):
        return KerasFormat.JSON
    with path.open("rb") as stream:
        opening = stream.read(len(_HDF5_OPENING))
    if name.endswith(KerasFormat.ARCHIVE):
        if not opening.startswith(_ZIP_OPENING):
            raise ModelError(f"{path}: is not a Keras model: the content of a .keras file is a zip archive")
        return KerasFormat.ARCHIVE
    if name.endswith((KerasFormat.HDF5, ".hdf5")):
        if opening != _HDF5_OPENING:
            raise ModelError(f"{path}: is not a Keras model: the content of a .h5 file is HDF5")
        return KerasFormat.HDF5
    raise ModelError(f"{path}: is not a Keras model: its name must end in .keras, .h5, .hdf5 or .json")


def read_config(path: Path) -> dict[str, Any]:
    """Return the architecture of a model, after a check of the sizes of everything in the file.

    Raises:
        ModelError: The file has no architecture, is damaged, or is larger than a limit.
    """
    try:
        config = _parsed(_config_text(path), path)
    except KeyError as exc:
        msg = f"{path}: has weights but no architecture; give the model.json, and this file as --weights"
        raise ModelError(msg) from exc
    except (OSError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as exc:
        raise ModelError(f"{path}: is not a Keras model: {_fault(exc)}") from exc
    if not isinstance(config, dict) or "class_name" not in config:
        raise ModelError(f"{path}: is not the architecture of a Keras model: class_name is missing")
    return config


def check_weights(path: Path) -> None:
    """Check a ``.h5`` file of weights.

    Raises:
        ModelError: It is not HDF5, damaged, larger than a limit, or refers to other files.
    """
    import h5py

    try:
        _check_size(path)
        format_of(path)
        with h5py.File(path, "r", locking=False) as file:
            _check_hdf5(file, path, path.stat().st_size)
    except (OSError, ValueError, RuntimeError) as exc:
        raise ModelError(f"{path}: is not a file of weights: {_fault(exc)}") from exc


def refuse_code(config: dict[str, Any], path: Path, trusted: tuple[str, ...] = TRUSTED_MODULES) -> None:
    """Refuse an architecture that would run code of its own when it is loaded.

    Args:
        config: The architecture.
        path: Its file, for messages.
        trusted: Packages whose classes it may name.

    Raises:
        ModelError: It has a layer with code, or a class that is not part of Keras.
    """
    for node in nodes(config):
        kind, module = node.get("class_name"), node.get("module")
        if not isinstance(kind, str | None):
            raise ModelError(f"{path}: is not the architecture of a Keras model: a class_name is {kind!r}, not a name")
        if kind in _LAYERS_WITH_CODE:
            what = str(kind).strip("_").capitalize() if "lambda" in str(kind).lower() else kind
            msg = f"{path}: has a {what} layer, whose Python code would run on loading; refused. Replace it by a Keras layer and save again"
            raise ModelError(msg)
        if isinstance(module, str) and module.split(".")[0] not in trusted:
            raise ModelError(
                f"{path}: needs {module}.{kind}, which is not part of Keras; refused. Rebuild the network from Keras layers and save again"
            )


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a JSON value, nested ones too."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


# -- sizes ---------------------------------------------------------------------------------------


def _config_text(path: Path) -> str | bytes:
    _check_size(path)
    kind = format_of(path)
    if kind is KerasFormat.JSON:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ModelError(f"{path}: the architecture is larger than {MAX_CONFIG_BYTES:,} bytes")
        return path.read_bytes()
    if kind is KerasFormat.ARCHIVE:
        with zipfile.ZipFile(path) as archive:
            _check_archive(archive, path)
            return archive.read(_CONFIG)
    import h5py

    with h5py.File(path, "r", locking=False) as file:
        _check_hdf5(file, path, path.stat().st_size)
        text: str | bytes = file.attrs["model_config"]
        return text


def _fault(exc: Exception) -> str:
    """Return what is wrong with a file in words, where the library only says where it stopped."""
    if isinstance(exc, zipfile.BadZipFile):
        return "the archive is cut short or damaged; copy it again"
    if isinstance(exc, json.JSONDecodeError) and (exc.msg.startswith("Unterminated") or not exc.doc[exc.pos :].strip()):
        return f"the JSON is cut short at line {exc.lineno}; copy it again"
    if "truncated file" in str(exc):
        return "the file is cut short; copy it again"
    if "file signature not found" in str(exc):
        return "the content is not HDF5"
    return first_line(exc)


def _check_size(path: Path) -> None:
    refuse_pipe(path)
    if path.stat().st_size == 0:
        raise ModelError(f"{path}: is not a model: the file is empty (0 bytes); copy it again")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ModelError(f"{path}: is larger than {MAX_FILE_BYTES // 1_000_000} MB")


def _check_archive(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse an archive whose members are too many, too large for their file, or named twice."""
    members = archive.infolist()
    names = {member.filename for member in members}
    if len(members) > MAX_MEMBERS or len(names) < len(members):
        raise ModelError(f"{path}: is not a Keras model: the archive has {len(members)} files with {len(names)} names")
    for member in members:
        if member.filename == _CONFIG and member.file_size > MAX_CONFIG_BYTES:
            raise ModelError(f"{path}: the architecture is larger than {MAX_CONFIG_BYTES:,} bytes")
        if member.filename.startswith("/") or ".." in member.filename.split("/"):
            raise ModelError(f"{path}: the archive names a file outside of it; refused")
    _check_growth(sum(member.file_size for member in members), path.stat().st_size, path)
    if _WEIGHTS in names:
        with archive.open(_WEIGHTS) as stream:
            _check_embedded(stream, path, archive.getinfo(_WEIGHTS).file_size)


def _check_embedded(stream: IO[bytes], path: Path, size: int) -> None:
    import h5py

    with h5py.File(stream, "r") as file:
        _check_hdf5(file, path, size)


def _check_hdf5(file: h5py.File, path: Path, size: int) -> None:
    """Refuse a file that refers to other files, or whose arrays and attributes are too large for it.

    Args:
        file: The opened file.
        path: Its name for messages.
        size: Its size in bytes.
    """
    import h5py

    links: list[tuple[str, bool]] = []
    file.visititems_links(lambda name, link: links.append((name, isinstance(link, h5py.HardLink))))
    content = stored = 0
    for name, is_hard in links:
        if not is_hard:
            raise ModelError(f"{path}: {name} is a link to something else; refused")
        item = file[name]
        if isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise ModelError(f"{path}: {name} has its values in another file; refused")
            content += int(item.nbytes)
            stored += int(item.id.get_storage_size())
    _check_growth(content, size, path)
    if size - stored > _GROWTH_BYTES:
        raise ModelError(f"{path}: has {(size - stored) // 1_000_000} MB beside its weights")


def _check_growth(content: int, size: int, path: Path) -> None:
    if content > MAX_FILE_BYTES or content > MAX_GROWTH * size + _GROWTH_BYTES:
        raise ModelError(f"{path}: a file of {size:,} bytes holds {content:,} bytes; refused")


def _parsed(text: str | bytes, path: Path) -> Any:
    """Parse JSON that is not too long and not too deep."""
    if len(text) > MAX_CONFIG_BYTES:
        raise ModelError(f"{path}: the architecture is larger than {MAX_CONFIG_BYTES:,} bytes")
    too_deep = ModelError(f"{path}: the architecture is nested more than {MAX_DEPTH} levels deep")
    try:
        value = json.loads(text)
    except RecursionError:
        raise too_deep from None
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise too_deep
        level = [child for item in level if isinstance(item, dict | list) for child in (item.values() if isinstance(item, dict) else item)]
    return value
