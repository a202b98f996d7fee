"""Fine-tuning end to end on a model of a few thousand weights: real libraries, real files."""

from __future__ import annotations

import json
import math
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainingArguments

from app.core import manifest
from app.core.errors import ArtifactMismatch, ConfigProblem
from app.core.settings import load as settings
from app.core.taxonomy import DEFAULT_TAXONOMY
from app.core.text import IssueText
from tests.worker.model.conftest import byte_level, llama
from training import config, keywords, objective
from training.dataset import dump, write
from training.example import Answer, Example, Provenance
from training.finetune import CHECKPOINTS, SlotTrainer, _collate, _rows, prepare
from training.train import ADAPTER, Run, read_rows, train
from worker.model import hardware
from worker.model.encoding import Encoder, collate
from worker.model.quiet import hush
from worker.model.serve import build_scorer
from worker.model.slots import slot_logits

WORDS = ("menu", "shader", "music", "server", "savegame", "slow", "script")
SEVERITIES = ("crash", "broken", "glitch", "typo")


def examples(count: int) -> list[Example]:
    """Reports whose words give every answer away, no two alike."""
    found = []
    for n in range(count):
        component, severity = n % 7, n % 4
        labels = {
            "kind": ("bug", "feature", "question")[n % 3],
            "severity": DEFAULT_TAXONOMY["severity"].names[severity],
            "component": DEFAULT_TAXONOMY["component"].names[component],
            "reproducibility": DEFAULT_TAXONOMY["reproducibility"].names[n % 3],
        }
        words = " ".join(f"{WORDS[component]}{n}{SEVERITIES[severity]}{k * n}" for k in range(6))
        found.append(
            Example(
                id=f"e{n}",
                repository="octo/game",
                title=f"{WORDS[component]} {SEVERITIES[severity]}",
                body=words,
                labels={
                    name: Answer(label=label, provenance=Provenance.HUMAN)
                    for name, label in labels.items()
                },
            )
        )
    return found


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    llama().save_pretrained(folder)
    byte_level().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    write(path, examples(64))
    return path


def run(data, folder, **options):
    return Run([data], folder, folder / "data", device="cpu", report_to=["none"], **options)


def tiny(base, **changes):
    return config.read("tiny", {"base": str(base), **changes})


@pytest.fixture(scope="module")
def trained(base, data, tmp_path_factory):
    """A whole run: the folder it left and the manifest it returned."""
    folder = tmp_path_factory.mktemp("run")
    return folder, train(run(data, folder), tiny(base))


def test_what_training_writes_is_what_serving_loads(base, trained):
    folder, written = trained
    chosen = settings(model=str(base), adapter=str(folder / ADAPTER), data_dir=folder, device="cpu")

    scorer = build_scorer(chosen)

    assert scorer.version == written.version
    assert scorer.thresholds == written.thresholds
    (scores,) = scorer.score([IssueText(title="shader crash")], DEFAULT_TAXONOMY)
    assert {name: tuple(found) for name, found in scores.items()} == DEFAULT_TAXONOMY.vocabulary
    assert all(math.isclose(sum(found.values()), 1) for found in scores.values())


def test_training_lowers_the_loss_on_what_it_saw(base, data, tmp_path):
    train(run(data, tmp_path), tiny(base, **{"optimiser.epochs": 4, "checkpoints": 1}))

    (state,) = sorted((tmp_path / CHECKPOINTS).glob("*/trainer_state.json"))[-1:]
    losses = [row["loss"] for row in json.loads(state.read_text())["log_history"] if "loss" in row]

    assert losses[-1] < 0.8 * losses[0]


def test_only_adapters_are_trained_and_shipped(trained):
    folder, written = trained

    weights = load_file(folder / ADAPTER / manifest.WEIGHTS)

    assert all(".lora_A." in name or ".lora_B." in name for name in weights)
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    assert not list((folder / ADAPTER).glob("*.bin"))
    assert manifest.load(folder / ADAPTER) == written


def test_the_configuration_travels_with_the_adapter(base, trained):
    folder, _ = trained

    kept = config.TrainConfig.model_validate_json((folder / ADAPTER / "train.json").read_text())

    assert kept == tiny(base)


def test_an_adapter_is_refused_when_its_weights_are_not_its_manifests(trained, tmp_path):
    folder, _ = trained
    for name in (manifest.MANIFEST, manifest.WEIGHTS):
        (tmp_path / name).write_bytes((folder / ADAPTER / name).read_bytes())
    broken = bytearray((tmp_path / manifest.WEIGHTS).read_bytes())
    broken[-1] ^= 1
    (tmp_path / manifest.WEIGHTS).write_bytes(broken)

    with pytest.raises(ArtifactMismatch, match="SHA-256"):
        manifest.load(tmp_path)


def test_an_interrupted_run_resumes_to_the_same_weights(base, data, tmp_path, trained, monkeypatch):
    folder, _ = trained
    step = SlotTrainer.training_step
    calls = 0

    def killed(self, *args, **kwargs):
        nonlocal calls
        calls += 1
        if calls > 14:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    monkeypatch.setattr(SlotTrainer, "training_step", killed)
    with pytest.raises(KeyboardInterrupt):
        train(run(data, tmp_path), tiny(base))
    monkeypatch.undo()

    train(run(data, tmp_path, resume=True), tiny(base))

    ours = load_file(tmp_path / ADAPTER / manifest.WEIGHTS)
    theirs = load_file(folder / ADAPTER / manifest.WEIGHTS)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_folder_with_checkpoints_is_not_overwritten_by_accident(base, data, trained):
    folder, _ = trained

    with pytest.raises(ConfigProblem, match="--resume"):
        train(run(data, folder), tiny(base))


def test_resuming_without_a_checkpoint_says_so(base, data, tmp_path):
    with pytest.raises(ConfigProblem, match="nothing to resume"):
        train(run(data, tmp_path, resume=True), tiny(base))


def test_malformed_rows_stop_a_run_before_it_starts(base, tmp_path):
    path = tmp_path / "rows.jsonl"
    write(path, examples(8))
    with path.open("a") as stream:
        stream.write("{broken\n")

    with pytest.raises(Exception, match="line 9"):
        train(run(path, tmp_path), tiny(base))


def test_a_learning_curve_on_weak_labels_needs_neither_every_label_nor_every_dimension(
    base, tmp_path
):
    """The rules know nothing of kind, and five rows show five components."""
    path = tmp_path / "rows.jsonl"
    rows = [json.loads(dump(example)) for example in examples(32)]
    for row in rows:
        labels = {name: answer["label"] for name, answer in row.pop("labels").items()}
        row["keyword_labels"] = {name: labels[name] for name in labels if name != "kind"}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    written = train(run(path, tmp_path, source="keyword_labels", limit=5), tiny(base))

    assert "kind" not in written.calibration


def test_rules_stand_in_for_labels_that_nobody_gave(data, base, tmp_path):
    rows = [example.model_copy(update={"labels": {}}) for example in examples(32)]
    path = tmp_path / "unread.jsonl"
    write(path, rows)

    written = train(run(path, tmp_path, source="rules"), tiny(base))

    assert set(written.vocabulary) == set(DEFAULT_TAXONOMY.vocabulary)
    assert list(read_rows([path], DEFAULT_TAXONOMY, "rules")[0]) == [
        keywords.guessed(row, DEFAULT_TAXONOMY) for row in rows
    ]


def test_a_run_goes_on_from_an_adapter(trained, data, base, tmp_path):
    """With a learning rate of nothing it ends as it began, whatever shape the file asks for."""
    folder, _ = trained
    still = tiny(base, **{"optimiser.learning_rate": 1e-12, "lora.rank": 2, "optimiser.epochs": 1})

    train(run(data, tmp_path, start=folder / ADAPTER), still)

    before, after = (load_file(f / ADAPTER / manifest.WEIGHTS) for f in (folder, tmp_path))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_an_adapter_of_another_prompt_is_no_beginning(trained, data, base, tmp_path):
    folder, _ = trained
    start = tmp_path / "start"
    shutil.copytree(folder / ADAPTER, start)
    old = manifest.load(start).model_copy(update={"prompt_version": "p0"})
    old.save(start)

    with pytest.raises(ArtifactMismatch, match="trained with prompt p0"):
        train(run(data, tmp_path, start=start), tiny(base))


def test_the_trainer_reads_the_same_scores_as_serving(base, tmp_path):
    """One prompt, one pass: the way training reads the slots must not drift from serving's."""
    chosen = tiny(base)
    hush()
    loaded, model = prepare(chosen, hardware.detect("cpu"), tmp_path)
    encoder = Encoder(loaded.tokenizer, chosen.max_tokens)
    form = encoder.form(DEFAULT_TAXONOMY)
    rows = examples(5)
    trainer = SlotTrainer(
        model=model,
        args=TrainingArguments(output_dir=str(tmp_path), report_to=[]),
        form=form,
        config=chosen,
        weights=objective.class_weights(objective.targets(rows, form), form, 0.0),
    )
    batch = _collate(list(_rows(rows, encoder, DEFAULT_TAXONOMY)))
    with torch.no_grad():
        theirs = trainer._scores(model, batch)
        prompts = encoder.encode([row.text for row in rows], DEFAULT_TAXONOMY)
        ours = slot_logits(model, collate(prompts, range(len(prompts))), form)

    for name, scores in ours.items():
        torch.testing.assert_close(theirs[name], scores)


def test_a_dimension_nobody_answered_adds_nothing_to_the_loss():
    scores = {"a": torch.randn(3, 2), "b": torch.randn(3, 4)}
    weights = {"a": torch.ones(2), "b": torch.ones(4)}
    known = torch.tensor([[0, -100], [1, -100], [-100, -100]])

    alone = objective.loss({"a": scores["a"]}, known[:, :1], weights, {}, 0.0)
    both = objective.loss(scores, known, weights, {}, 0.0)

    assert float(both) == pytest.approx(float(alone) / 2)


def test_class_weights_lift_rare_labels_and_leave_unseen_ones_alone():
    rows = examples(14)
    encoder = Encoder(byte_level(), 64)
    form = encoder.form(DEFAULT_TAXONOMY)
    truth = objective.targets(rows, form)
    truth[:, 1] = torch.tensor([0] * 12 + [1] * 2)

    weights = objective.class_weights(truth, form, 1.0)["severity"]

    assert weights.tolist() == pytest.approx([14 / (4 * 12), 14 / (4 * 2), 1, 1])
    assert objective.class_weights(truth, form, 0.0)["severity"].tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("name", config.names())
def test_every_shipped_configuration_loads(name):
    assert config.read(name).base


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"lora.rank": 0}, "lora.rank"),
        ({"lora.ranks": 8}, "lora.ranks"),
        ({"optimiser.micro_batch_size": 5}, "multiple of micro_batch_size"),
    ],
)
def test_a_wrong_configuration_is_named(changes, complaint):
    with pytest.raises(ConfigProblem, match=complaint):
        config.read("smollm2-135m", changes)


def test_an_unknown_configuration_lists_the_known_ones():
    with pytest.raises(ConfigProblem, match="mistral-7b, nlbse24, smollm2-135m, tiny"):
        config.read("gpt")


def test_scores_of_the_holdout_make_calibration_and_thresholds(trained):
    _, written = trained

    assert set(written.calibration) == set(DEFAULT_TAXONOMY.vocabulary)
    assert set(written.thresholds.labels) == set(DEFAULT_TAXONOMY.vocabulary)
