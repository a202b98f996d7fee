"""What stands beside an adapter: everything that must agree before its weights are used."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.core.decision import Thresholds
from app.core.errors import ArtifactMismatch
from app.core.taxonomy import Taxonomy

MANIFEST = "manifest.json"
WEIGHTS = "adapter_model.safetensors"

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Calibration(_Frozen):
    """How raw scores of one dimension become probabilities: softmax(score / temperature + bias).

    `bias` has one entry a label, in natural-log units.
    """

    temperature: float = Field(default=1.0, gt=0)
    bias: dict[str, float]


class Manifest(_Frozen):
    """Identity, vocabulary, calibration and origin of one adapter.

    base_model: preset name, hub id or folder name. base_revision: SHA-256 of the base weights'
    source, or the hub's commit, where known. answers: dimension -> label -> the one-token answer
    it was trained with. metrics: name -> value, as evaluation wrote them. libraries: name ->
    version at training time.
    """

    version: str = Field(min_length=1, max_length=100)
    base_model: str
    base_revision: str | None = None
    prompt_version: str
    text_tokens: int = Field(gt=0, description="tokens of the issue's text the model was shown")
    vocabulary: dict[str, tuple[str, ...]]
    taxonomy_digest: Digest
    answers: dict[str, dict[str, str]]
    calibration: dict[str, Calibration]
    thresholds: Thresholds = Thresholds()
    metrics: dict[str, float] = Field(default_factory=dict)
    data_digest: Digest
    weights_sha256: Digest
    libraries: dict[str, str] = Field(default_factory=dict)
    created_at: datetime

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for dimension, names in self.vocabulary.items():
            if set(self.answers.get(dimension, ())) != set(names):
                raise ValueError(f"answers of {dimension} are not its labels")
            if dimension in self.calibration and set(self.calibration[dimension].bias) != set(
                names
            ):
                raise ValueError(f"calibration of {dimension} is not over its labels")
        return self

    def save(self, folder: Path) -> None:
        """Write it beside the adapter in `folder`, whole or not at all."""
        part = folder / f"{MANIFEST}.part"
        part.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        part.replace(folder / MANIFEST)


def load(folder: Path) -> Manifest:
    """The manifest of the adapter in `folder`, its weights checked against their SHA-256.

    ArtifactMismatch when either file is missing or broken, or when they do not belong together.
    """
    weights, path = folder / WEIGHTS, folder / MANIFEST
    for needed in (path, weights):
        if not needed.is_file():
            raise ArtifactMismatch(
                f"{folder} has no {needed.name}: an adapter needs {MANIFEST} and {WEIGHTS},"
                " as `triora train` writes them; other formats are refused"
            )
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise ArtifactMismatch(f"{path} is not a manifest: {where}: {first['msg']}") from error
    found = file_digest(weights)
    if found != manifest.weights_sha256:
        raise ArtifactMismatch(
            f"{weights} has SHA-256 {found[:12]}…, its manifest says"
            f" {manifest.weights_sha256[:12]}…: copy both files from the same training run"
        )
    return manifest


def check(
    manifest: Manifest,
    *,
    base_model: str,
    base_revision: str | None,
    prompt_version: str,
    taxonomy: Taxonomy | None,
) -> None:
    """ArtifactMismatch names the first thing in which adapter and installation differ.

    taxonomy: None where each repository brings its own.
    """
    if manifest.base_model != base_model:
        raise ArtifactMismatch(
            f"adapter {manifest.version} belongs to base model {manifest.base_model}, this is"
            f" {base_model}: set TRIORA_MODEL={manifest.base_model} or TRIORA_ADAPTER=none"
        )
    if manifest.base_revision and base_revision and manifest.base_revision != base_revision:
        raise ArtifactMismatch(
            f"adapter {manifest.version} was trained on {base_model} at revision"
            f" {manifest.base_revision[:12]}…, the weights here are {base_revision[:12]}…:"
            " install the same weights or train again"
        )
    if manifest.prompt_version != prompt_version:
        raise ArtifactMismatch(
            f"adapter {manifest.version} was trained with prompt {manifest.prompt_version}, this"
            f" Triora asks with {prompt_version}: train again, or set TRIORA_ADAPTER=none"
        )
    if taxonomy is not None:
        _check_vocabulary(manifest, taxonomy)


def _check_vocabulary(manifest: Manifest, taxonomy: Taxonomy) -> None:
    for name, labels in taxonomy.vocabulary.items():
        trained = manifest.vocabulary.get(name)
        if trained is None or set(trained) != set(labels):
            known = "no such dimension" if trained is None else ", ".join(trained)
            raise ArtifactMismatch(
                f"dimension {name} of the taxonomy has {', '.join(labels)}; adapter"
                f" {manifest.version} was trained for {known}: train again for this taxonomy,"
                " or set TRIORA_ADAPTER=none"
            )


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
