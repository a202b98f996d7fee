import json
import shutil
from pathlib import Path

import pytest
import torch

from app.core.decision import Thresholds
from app.core.errors import ArtifactMismatch, ConfigProblem
from app.core.manifest import MANIFEST, WEIGHTS, Manifest
from app.core.prompt import PROMPT_VERSION
from app.core.settings import Settings
from app.core.taxonomy import DEFAULT_TAXONOMY
from tests.worker.model.conftest import CPU, TEXT_TOKENS, issues, taxonomy_of, trained_adapter
from worker.model import adapter, loading, presets, serve
from worker.model.encoding import Encoder
from worker.model.presets import resolve
from worker.model.quiet import hush
from worker.model.scorer import Scorer
from worker.model.serve import build_scorer

ZEROS = "0" * 64


@pytest.fixture(scope="module")
def trained(local_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_adapter(local_model, tmp_path_factory.mktemp("adapter"))


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "adapter"))


def rewrite(folder: Path, **changes: object) -> None:
    found = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    Manifest.model_validate(found.model_dump() | changes).save(folder)


def settings(
    tmp_path: Path,
    model: Path,
    adapter_folder: Path | str | None,
    threshold: float | None = None,
) -> Settings:
    return Settings(
        data_dir=tmp_path,
        model=str(model),
        adapter=None if adapter_folder is None else str(adapter_folder),
        device="cpu",
        threshold=threshold,
        _env_file=None,
    )


def built(tmp_path: Path, model: Path, adapter_folder: Path | str | None) -> Scorer:
    return build_scorer(settings(tmp_path, model, adapter_folder))


def test_without_an_adapter_the_base_model_is_asked(tmp_path: Path, local_model: Path) -> None:
    scorer = built(tmp_path, local_model, "none")
    assert scorer.version == f"{local_model.name}/zero-shot/{PROMPT_VERSION}"
    assert scorer.thresholds == Thresholds(default=0.5)
    assert len(scorer.score(issues(2), DEFAULT_TAXONOMY)) == 2


def test_an_adapter_brings_version_thresholds_and_its_own_answers(
    tmp_path: Path, local_model: Path, folder: Path
) -> None:
    plain, tuned = built(tmp_path, local_model, "none"), built(tmp_path, local_model, folder)
    assert tuned.version == "tiny/first"
    assert tuned.thresholds == Thresholds(default=0.7, gate=0.2)
    before = plain.logits(issues(1), DEFAULT_TAXONOMY)["severity"]
    assert not torch.allclose(
        before, tuned.logits(issues(1), DEFAULT_TAXONOMY)["severity"], atol=0.1
    )


@pytest.mark.parametrize("with_adapter", [True, False])
def test_what_the_operator_says_of_thresholds_holds_for_every_label(
    tmp_path: Path, local_model: Path, folder: Path, with_adapter: bool
) -> None:
    chosen = settings(tmp_path, local_model, folder if with_adapter else "none", threshold=0.25)
    assert build_scorer(chosen).thresholds == Thresholds(default=0.25)


@pytest.mark.parametrize(
    # bitsandbytes multiplies 4-bit weights on a CPU with 16-bit scales.
    ("expanded", "tolerance"),
    [(True, 1e-4), (False, 0.5)],
)
def test_merged_and_attached_adapters_answer_the_same(
    local_model: Path, folder: Path, expanded: bool, tolerance: float
) -> None:
    hush()

    def scores(merge: bool) -> dict[str, torch.Tensor]:
        base = loading.load(resolve(str(local_model)), Path("unused"), CPU)
        model = loading.expand(base.model, CPU) if merge or expanded else base.model
        model = adapter.merge(model, folder) if merge else adapter.load(model, folder, "beside")
        own = Encoder(base.tokenizer, TEXT_TOKENS)
        name = None if merge else "beside"
        reader = Scorer(model, own, version="x", thresholds=Thresholds(), adapter=name)
        return reader.logits(issues(3), DEFAULT_TAXONOMY)

    merged, attached = scores(True), scores(False)
    for name, values in merged.items():
        assert torch.allclose(values, attached[name], atol=tolerance)


def test_the_shipped_adapter_of_a_preset_is_the_default(
    tmp_path: Path, local_model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presets, "ADAPTERS", tmp_path / "shipped")
    shutil.copytree(folder, tmp_path / "shipped" / local_model.name)
    assert built(tmp_path, local_model, None).version == "tiny/first"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"base_model": "mistral-7b"}, "TRIORA_MODEL=mistral-7b"),
        ({"prompt_version": "p0"}, "prompt p0"),
        ({"weights_sha256": ZEROS}, "SHA-256"),
    ],
)
def test_an_adapter_that_does_not_belong_here_is_refused(
    tmp_path: Path, local_model: Path, folder: Path, changes: dict[str, object], told: str
) -> None:
    rewrite(folder, **changes)
    with pytest.raises(ArtifactMismatch, match=told):
        built(tmp_path, local_model, folder)


def test_an_adapter_trained_for_other_labels_is_refused(
    tmp_path: Path, local_model: Path, folder: Path
) -> None:
    with pytest.raises(ArtifactMismatch, match="area"):
        build_scorer(settings(tmp_path, local_model, folder), taxonomy_of("yes", "no"))


def test_an_adapter_that_spells_its_answers_otherwise_is_refused(
    tmp_path: Path, local_model: Path, folder: Path
) -> None:
    found = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    rewrite(
        folder,
        answers=found.answers | {"component": dict.fromkeys(found.answers["component"], "A")},
    )
    with pytest.raises(ArtifactMismatch, match="component/ui"):
        built(tmp_path, local_model, folder)


def test_a_pickled_adapter_is_refused(tmp_path: Path, local_model: Path, folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "adapter_model.bin")
    with pytest.raises(ArtifactMismatch, match=WEIGHTS):
        built(tmp_path, local_model, folder)


def test_an_adapter_of_another_shape_is_refused(
    tmp_path: Path, local_model: Path, folder: Path
) -> None:
    config = folder / "adapter_config.json"
    config.write_text(config.read_text().replace('"r": 4', '"r": 8'))
    with pytest.raises(ArtifactMismatch, match="does not fit"):
        built(tmp_path, local_model, folder)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"target_modules": "(a+)+$"}, "not a LoRA configuration"),
        ({"peft_type": "IA3"}, "not a LoRA configuration"),
    ],
)
def test_an_adapter_that_is_more_than_plain_lora_is_refused(
    tmp_path: Path, local_model: Path, folder: Path, entry: dict[str, object], told: str
) -> None:
    config = folder / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | entry))
    with pytest.raises(ArtifactMismatch, match=told):
        built(tmp_path, local_model, folder)


def test_an_adapter_with_weights_for_no_layer_is_refused(
    tmp_path: Path, local_model: Path, folder: Path
) -> None:
    config = folder / "adapter_config.json"
    found = json.loads(config.read_text())
    found["target_modules"].pop()
    config.write_text(json.dumps(found))
    with pytest.raises(ArtifactMismatch, match="no layer for"):
        built(tmp_path, local_model, folder)


def test_an_adapter_folder_that_is_not_there_is_a_clear_problem(
    tmp_path: Path, local_model: Path
) -> None:
    with pytest.raises(ConfigProblem, match="TRIORA_ADAPTER"):
        built(tmp_path, local_model, tmp_path / "nothing")


def test_cuda_without_a_gpu_is_a_clear_problem(
    tmp_path: Path, local_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    asked = settings(tmp_path, local_model, "none").model_copy(update={"device": "cuda"})
    with pytest.raises(ConfigProblem, match="TRIORA_DEVICE=cpu"):
        serve.build_scorer(asked)
