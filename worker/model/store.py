"""Adapters in a store that fsspec reaches: a directory, or an object store in production.

An adapter is one object, named by the SHA-256 of what is in it. So it is there as a whole or not
at all, nobody can change it unseen, and the same adapter put twice is there once.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import fsspec
import structlog
from safetensors import SafetensorError, safe_open

from app.core import manifest
from app.core.errors import ArtifactMismatch, ConfigProblem
from app.core.manifest import MANIFEST, WEIGHTS, file_digest

log = structlog.get_logger()

CONFIG = "adapter_config.json"
CARD = "README.md"
# What an adapter is made of, and how many bytes each may have. Nothing else is kept.
SIZES = {CONFIG: 2**20, MANIFEST: 2**20, WEIGHTS: 2**30, CARD: 2**20}
NEEDED = (CONFIG, MANIFEST, WEIGHTS)

# Adapters kept on this machine, and how long one that is not in use stays at least.
KEPT_FOLDERS = 64
KEPT_SECONDS = 86400.0


class StoreUnreachable(ConfigProblem):
    """The model store did not answer: a wrong setting, or an outage that another try outlasts."""


class ModelStore:
    """Adapters under `url` (a path, or file://, s3://, gs://, memory://, …).

    cache: the folder where adapters that were fetched stand unpacked. ConfigProblem when fsspec
    cannot reach such a URL.
    """

    def __init__(self, url: str, cache: Path) -> None:
        self._system, self._root = _reach(url)
        self._cache = cache

    def put(self, folder: Path) -> tuple[str, str]:
        """Store the adapter in `folder`; its URI and digest.

        ArtifactMismatch when it is none: files missing, too large, not safetensors, or of
        different training runs. StoreUnreachable when the store does not take it. What is there
        already but damaged is replaced.
        """
        check(folder)
        digest = artifact_digest(folder)
        place = self._place(digest)
        with _named_errors(self._system.unstrip_protocol(place)):
            if not self._has(place, digest):
                self._upload(folder, place)
        return self._system.unstrip_protocol(place), digest

    def fetch(self, uri: str, digest: str) -> Path:
        """The folder of that adapter on this machine, every byte checked against `digest`.

        The store is asked first, then `uri`: a store that moved needs no change anywhere.
        ArtifactMismatch when it is nowhere, or not what it was; StoreUnreachable when the store
        does not answer.
        """
        folder = self._cache / digest
        if folder.is_dir():
            if _is(folder, digest):
                os.utime(folder)
                return folder
            log.warning("artifact.damaged", folder=str(folder))
            shutil.rmtree(folder, ignore_errors=True)
        self._cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="part-", dir=self._cache) as scratch:
            fetched = Path(scratch) / "adapter"
            fetched.mkdir()
            self._download(uri, digest, fetched)
            if not _is(fetched, digest):
                raise ArtifactMismatch(
                    f"{uri} is not the adapter it was (SHA-256 {artifact_digest(fetched)[:12]}…,"
                    f" expected {digest[:12]}…): put the adapter into the store again with"
                    " `triora models add FOLDER`"
                )
            # Another process may have been faster: then its folder is the same.
            with suppress(OSError):
                fetched.rename(folder)
        self._prune(folder)
        return folder

    def size(self, digest: str) -> int:
        """Bytes that the adapter takes in the store; 0 if it is not there. StoreUnreachable."""
        place = self._place(digest)
        with _named_errors(self._system.unstrip_protocol(place)):
            return int(self._system.size(place) or 0) if self._system.exists(place) else 0

    def delete(self, digest: str) -> None:
        """Take the adapter out of the store and off this machine. Gone already is well.

        StoreUnreachable when the store does not answer, or does not let us.
        """
        place = self._place(digest)
        with _named_errors(self._system.unstrip_protocol(place)):
            if self._system.exists(place):
                self._system.rm(place)
        shutil.rmtree(self._cache / digest, ignore_errors=True)

    def _place(self, digest: str) -> str:
        return f"{self._root}/{digest}.tar"

    def _has(self, place: str, digest: str) -> bool:
        """True if the adapter is there, every byte of it."""
        if not self._system.exists(place):
            return False
        self._cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="part-", dir=self._cache) as scratch:
            try:
                with self._system.open(place, "rb") as source:
                    _unpack(source, Path(scratch), place)
            except ArtifactMismatch:
                return False
            return _is(Path(scratch), digest)

    def _upload(self, folder: Path, place: str) -> None:
        self._system.makedirs(self._root, exist_ok=True)
        # Only what is whole gets the name: others may read while this is written.
        part = f"{place}.{uuid4().hex}.part"
        try:
            with self._system.open(part, "wb") as target:
                _pack(folder, target)
                _to_disk(target)
            self._system.mv(part, place)
        except BaseException:
            with suppress(Exception):
                self._system.rm(part)
            raise

    def _download(self, uri: str, digest: str, folder: Path) -> None:
        with _named_errors(uri):
            system, place = self._system, self._place(digest)
            if not system.exists(place):
                system, place = _reach(uri)
            with system.open(place, "rb") as source:
                _unpack(source, folder, uri)

    def _prune(self, newest: Path) -> None:
        """Delete what nobody used for long; the store has it still."""
        # By mtime: set whenever an adapter is asked for.
        folders = sorted(
            (path for path in self._cache.iterdir() if path != newest),
            key=lambda path: path.stat().st_mtime,
        )
        for folder in folders[: max(0, len(folders) + 1 - KEPT_FOLDERS)]:
            if time.time() - folder.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def check(folder: Path) -> None:
    """ArtifactMismatch unless `folder` holds an adapter: whole, in bounds, safetensors."""
    for name, most in SIZES.items():
        path = folder / name
        if name in NEEDED and not path.is_file():
            raise ArtifactMismatch(
                f"{folder} has no {name}: an adapter is {', '.join(NEEDED)}, as `triora train`"
                " writes them; other formats are refused"
            )
        if path.is_file() and path.stat().st_size > most:
            raise ArtifactMismatch(
                f"{path} has {path.stat().st_size} bytes, more than the {most} an adapter may"
                " have: train one with a lower rank"
            )
    manifest.load(folder)
    try:
        with safe_open(folder / WEIGHTS, framework="np") as opened:
            opened.keys()
    except SafetensorError as error:
        raise ArtifactMismatch(f"{folder / WEIGHTS} is not a safetensors file: {error}") from error


def artifact_digest(folder: Path) -> str:
    """SHA-256 (hex) over names and digests of the adapter's files."""
    lines = "".join(f"{file_digest(path)}  {path.name}\n" for path in _files(folder))
    return hashlib.sha256(lines.encode()).hexdigest()


def _is(folder: Path, digest: str) -> bool:
    return all((folder / name).is_file() for name in NEEDED) and artifact_digest(folder) == digest


def _files(folder: Path) -> list[Path]:
    return [folder / name for name in sorted(SIZES) if (folder / name).is_file()]


def _pack(folder: Path, target: BinaryIO) -> None:
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
        for path in _files(folder):
            # Nothing of this machine: no owner, no times.
            entry = tarfile.TarInfo(path.name)
            entry.size = path.stat().st_size
            with path.open("rb") as source:
                archive.addfile(entry, source)


def _unpack(source: BinaryIO, folder: Path, uri: str) -> None:
    """Write the adapter's files into `folder`; whatever else is in there is refused."""
    try:
        with tarfile.open(fileobj=source, mode="r|") as archive:
            for entry in archive:
                content = archive.extractfile(entry) if entry.isreg() else None
                if content is None or entry.size > SIZES.get(entry.name, -1):
                    raise ArtifactMismatch(f"{uri} has something in it that no adapter has")
                with (folder / entry.name).open("wb") as target:
                    shutil.copyfileobj(content, target)
    except tarfile.TarError as error:
        raise ArtifactMismatch(
            f"{uri} is damaged ({error}): put the adapter into the store again with"
            " `triora models add FOLDER`"
        ) from error


def _to_disk(target: Any) -> None:
    target.flush()
    # Files have a descriptor; an object store promises more with its answer.
    with suppress(AttributeError, io.UnsupportedOperation):
        os.fsync(target.fileno())


def _reach(url: str) -> tuple[Any, str]:
    try:
        system, root = fsspec.url_to_fs(url)
    except ImportError as error:
        raise ConfigProblem(f"the model store {url} needs another package: {error}") from error
    except ValueError as error:
        raise ConfigProblem(
            f"TRIORA_MODEL_STORE={url}: {error}; write a directory, or s3://BUCKET/PATH"
        ) from error
    return system, root.rstrip("/")


@contextmanager
def _named_errors(uri: str) -> Iterator[None]:
    """Errors of any file system as ours; they name the place, and what to do."""
    try:
        yield
    except (ArtifactMismatch, ConfigProblem):
        raise
    except FileNotFoundError as error:
        raise ArtifactMismatch(
            f"{uri} is not in the model store: put the adapter there again with"
            " `triora models add FOLDER`, or point TRIORA_MODEL_STORE to where it is"
        ) from error
    except Exception as error:  # every file system has its own
        raise StoreUnreachable(
            f"the model store does not answer for {uri} ({type(error).__name__}): is"
            " TRIORA_MODEL_STORE right, and may this process use it?"
        ) from error
