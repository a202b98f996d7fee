from pathlib import Path

import pytest
import torch

from app.core.errors import ConfigProblem
from worker.model import hardware


def test_a_cpu_without_16_bit_units_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_cpu_has_bf16", lambda: False)
    assert hardware.detect("cpu").dtype is torch.float32


def test_a_cpu_with_16_bit_units_computes_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_cpu_has_bf16", lambda: True)
    assert hardware.detect("cpu").dtype is torch.bfloat16


@pytest.mark.parametrize(
    ("capability", "dtype"),
    [((7, 5), torch.float16), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)],
)
def test_a_gpu_before_ampere_computes_in_float16(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    found = hardware.detect("auto")
    assert (found.device.type, found.dtype) == ("cuda", dtype)


def test_without_a_gpu_auto_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert hardware.detect("auto").device.type == "cpu"
    with pytest.raises(ConfigProblem, match="TRIORA_DEVICE=cpu"):
        hardware.detect("cuda")


@pytest.mark.parametrize(
    ("quota", "most"), [("100000 100000", 1), ("max 100000", 10_000), ("", 10_000)]
)
def test_a_containers_quota_bounds_the_cores(
    monkeypatch: pytest.MonkeyPatch, quota: str, most: int
) -> None:
    monkeypatch.setattr(hardware, "_read", lambda path: quota if path.endswith("cpu.max") else "")
    assert 1 <= hardware.usable_cores() <= most


def test_a_containers_memory_bounds_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "meminfo": "MemAvailable: 1000000 kB\n",
        "memory.max": "5000",
        "memory.current": "2000",
    }
    monkeypatch.setattr(hardware, "_read", lambda path: files[Path(path).name])
    assert hardware.free_memory(torch.device("cpu")) == 3000


def test_threads_are_never_raised_beyond_what_torch_was_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hardware, "usable_cores", lambda: 64)
    before = torch.get_num_threads()
    assert hardware.use_cores() == before
