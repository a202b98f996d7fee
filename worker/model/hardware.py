"""What this machine computes fast: device, number format, threads, free memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from app.core.errors import ConfigProblem


@dataclass(frozen=True, slots=True)
class Hardware:
    """Where the model runs and in which number format it computes."""

    device: torch.device
    dtype: torch.dtype

    @property
    def batch_tokens(self) -> int:
        """Tokens of one forward pass, padding included: bounds its memory, not its speed."""
        return 32768 if self.device.type == "cuda" else 4096


def detect(device: Literal["auto", "cpu", "cuda"] = "auto") -> Hardware:
    """The device asked for and the 16-bit format it has in hardware, float32 if it has none.

    bfloat16 on Ampere and later and on CPUs with AVX512_BF16 or AMX; float16 on older GPUs: a T4
    only emulates bfloat16, ten times slower. ConfigProblem when CUDA is asked for and absent.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigProblem(
            "TRIORA_DEVICE=cuda, but torch sees no GPU: install a CUDA build of torch, or set"
            " TRIORA_DEVICE=cpu"
        )
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        ampere = torch.cuda.get_device_capability()[0] >= 8
        return Hardware(torch.device("cuda"), torch.bfloat16 if ampere else torch.float16)
    return Hardware(torch.device("cpu"), torch.bfloat16 if _cpu_has_bf16() else torch.float32)


def _cpu_has_bf16() -> bool:
    # torch has no public question for it.
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def use_cores() -> int:
    """Give torch the cores this process may use, never more than it already has; their number.

    torch counts the machine's cores; a container's quota below that makes threads wait in turns.
    OMP_NUM_THREADS has its say: torch has read it before.
    """
    threads = max(1, min(torch.get_num_threads(), usable_cores()))
    torch.set_num_threads(threads)
    return threads


def usable_cores() -> int:
    """Cores by affinity and by the container's CPU quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _read("/sys/fs/cgroup/cpu.max").split()
    if len(quota) == 2 and quota[0].isdigit():
        cores = min(cores or 1, max(1, round(int(quota[0]) / int(quota[1]))))
    return cores or 1


def free_memory(device: torch.device) -> int:
    """Bytes that can still be taken on `device`; 0 where nobody says."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return min(int(line.split()[1]) * 1024, _quota_left())
    return 0


def _quota_left() -> int:
    limit, used = _read("/sys/fs/cgroup/memory.max"), _read("/sys/fs/cgroup/memory.current")
    if limit.strip().isdigit() and used.strip().isdigit():
        return max(0, int(limit) - int(used))
    return 1 << 62


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""
