from pathlib import Path

import pytest

from app.core.errors import ConfigProblem
from app.db.migrate import upgrade
from training.benchmarks.startup import first_answer


def test_the_receiver_is_timed_and_ended(tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path / 'triora.db'}")
    assert first_answer(tmp_path, "redis://127.0.0.1:1/0") > 0


def test_a_receiver_that_does_not_start_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblem, match="exit code 2"):
        first_answer(tmp_path, "redis://[broken")
