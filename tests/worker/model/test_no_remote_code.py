"""Code that comes with a model is never run, whatever the model's configuration asks for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.core.errors import ConfigProblem
from tests.worker.model.conftest import CPU, saved_mistral
from worker.model import loading
from worker.model.presets import resolve

# transformers runs such code from a copy in its cache, so the place is given.
EVIL = "from pathlib import Path\nPath({ran!r}).touch()\n"
ASKED = {
    "AutoConfig": "evil.EvilConfig",
    "AutoModelForCausalLM": "evil.Evil",
    "AutoTokenizer": ["evil.Evil", None],
}


def poisoned(folder: Path, **changes: object) -> Path:
    saved_mistral(folder)
    (folder / "evil.py").write_text(EVIL.format(ran=str(folder / "ran")))
    for name in ("config.json", "tokenizer_config.json"):
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": ASKED} | changes))
    return folder


def test_a_known_model_is_loaded_without_the_code_beside_it(tmp_path: Path) -> None:
    folder = poisoned(tmp_path / "model")
    base = loading.load(resolve(str(folder)), tmp_path, CPU)
    assert base.model.config.model_type == "mistral"
    assert not list(tmp_path.rglob("ran"))


def test_a_model_that_needs_its_own_code_is_refused(tmp_path: Path) -> None:
    folder = poisoned(tmp_path / "model", model_type="evil", tokenizer_class="Evil")
    with pytest.raises(ConfigProblem):
        loading.load(resolve(str(folder)), tmp_path, CPU)
    assert not list(tmp_path.rglob("ran"))
