"""What is asked of the models, row by row, and what they answer. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.core.decision import Thresholds
from app.core.taxonomy import Taxonomy
from app.core.text import IssueText


@dataclass(frozen=True, slots=True)
class Artifact:
    """One adapter in the model store. `digest`: SHA-256 of its weights."""

    version: str
    uri: str
    digest: str


@dataclass(frozen=True, slots=True)
class Query:
    """One issue to be scored.

    choices: adapters to answer with, best first. The one the process was started with follows them
    all, so a row is always answered.
    """

    text: IssueText
    taxonomy: Taxonomy
    choices: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """Scores of one query, from which version, and the thresholds that came with it.

    vector: hidden state [width] of the text for a memory to compare by, of this version; None from
    a model without. unusable: version -> why it was passed over.
    """

    version: str
    scores: Mapping[str, Mapping[str, float]]
    thresholds: Thresholds
    vector: NDArray[np.float16] | None = None
    unusable: Mapping[str, str] = field(default_factory=dict)
