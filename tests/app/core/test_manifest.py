import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.core import manifest
from app.core.errors import ArtifactMismatch
from app.core.manifest import MANIFEST, WEIGHTS, Calibration, Manifest
from app.core.taxonomy import DEFAULT_TAXONOMY, Dimension, Taxonomy

ZEROS = "0" * 64


def made(folder: Path, **changes: object) -> Manifest:
    (folder / WEIGHTS).write_bytes(b"weights")
    fields: dict[str, object] = {
        "version": "smollm2-135m/first",
        "base_model": "smollm2-135m",
        "base_revision": ZEROS,
        "prompt_version": "p1",
        "text_tokens": 512,
        "vocabulary": DEFAULT_TAXONOMY.vocabulary,
        "taxonomy_digest": DEFAULT_TAXONOMY.digest,
        "answers": {n: {x: x for x in v} for n, v in DEFAULT_TAXONOMY.vocabulary.items()},
        "calibration": {},
        "data_digest": ZEROS,
        "weights_sha256": manifest.file_digest(folder / WEIGHTS),
        "created_at": datetime(2026, 11, 23, tzinfo=UTC),
    }
    found = Manifest.model_validate(fields | changes)
    found.save(folder)
    return found


def check(found: Manifest, **changes: object) -> None:
    given: dict[str, object] = {
        "base_model": "smollm2-135m",
        "base_revision": ZEROS,
        "prompt_version": "p1",
        "taxonomy": DEFAULT_TAXONOMY,
    }
    manifest.check(found, **(given | changes))  # type: ignore[arg-type]


def changed(dimension: Dimension, **fields: object) -> Dimension:
    # Not model_copy: it would keep what the old one has computed.
    return Dimension.model_validate(dimension.model_dump() | fields)


def asked(taxonomy: Taxonomy, change: Callable[[Dimension], Dimension]) -> Taxonomy:
    return Taxonomy(dimensions=tuple(change(d) for d in taxonomy.dimensions))


def test_a_manifest_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    calibration = {
        "kind": Calibration(temperature=2, bias={"bug": 1, "feature": 0, "question": -1})
    }
    saved = made(tmp_path, calibration=calibration)
    assert manifest.load(tmp_path) == saved
    check(saved)


@pytest.mark.parametrize("missing", [MANIFEST, WEIGHTS])
def test_an_adapter_without_manifest_or_safetensors_is_refused(
    tmp_path: Path, missing: str
) -> None:
    made(tmp_path)
    (tmp_path / missing).unlink()
    (tmp_path / "adapter_model.bin").write_bytes(b"a pickle")
    with pytest.raises(ArtifactMismatch, match=missing):
        manifest.load(tmp_path)


def test_weights_changed_after_training_are_refused(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"other weights")
    with pytest.raises(ArtifactMismatch, match="SHA-256"):
        manifest.load(tmp_path)


def test_a_broken_manifest_names_the_field(tmp_path: Path) -> None:
    made(tmp_path)
    content = json.loads((tmp_path / MANIFEST).read_text())
    content["text_tokens"] = "many"
    (tmp_path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(ArtifactMismatch, match="text_tokens"):
        manifest.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"base_model": "mistral-7b"}, "TRIORA_MODEL=smollm2-135m"),
        ({"base_revision": "1" * 64}, "install the same weights"),
        ({"prompt_version": "p2"}, "p2"),
    ],
)
def test_what_differs_is_named_with_what_to_do(
    tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(ArtifactMismatch, match=told):
        check(made(tmp_path), **changes)


def test_a_label_the_model_never_learnt_is_a_mismatch(tmp_path: Path) -> None:
    def drop_last(d: Dimension) -> Dimension:
        return changed(d, labels=d.model_dump()["labels"][:-1]) if d.name == "severity" else d

    with pytest.raises(ArtifactMismatch, match="severity"):
        check(made(tmp_path), taxonomy=asked(DEFAULT_TAXONOMY, drop_last))


def test_a_dimension_the_model_never_learnt_is_a_mismatch(tmp_path: Path) -> None:
    def rename(d: Dimension) -> Dimension:
        return changed(d, name="area") if d.name == "component" else d

    with pytest.raises(ArtifactMismatch, match="area"):
        check(made(tmp_path), taxonomy=asked(DEFAULT_TAXONOMY, rename))


def test_a_taxonomy_may_ask_less_than_the_model_knows(tmp_path: Path) -> None:
    check(made(tmp_path), taxonomy=Taxonomy(dimensions=DEFAULT_TAXONOMY.dimensions[1:2]))


def test_calibration_over_other_labels_is_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="calibration of kind"):
        made(tmp_path, calibration={"kind": Calibration(bias={"bug": 0})})
