"""What each stage of a reconstruction costs on this machine: seconds, peak memory, floating-point operations."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from lim_cli.core.progress import Progress
from lim_cli.data.scene_folder import is_scene_folder
from lim_cli.stages.chain import Chain, write_result
from lim_cli.stages.config import ReconstructConfig
from lim_cli.stages.networks import Networks
from lim_cli.stages.steps import open_run, take_in

SAMPLE_SECONDS = 0.01
COMPARED = ("seconds", "cpu_seconds", "peak_gb", "gflop")


@dataclass(frozen=True)
class StageCost:
    """cpu_seconds: of all cores, which other work on the machine changes less than `seconds`.

    peak_gb: largest resident memory of the process during the stage. device_peak_gb: of a CUDA device's memory.

    gflop: matrix products, attention and convolutions of the networks, two operations a multiply-add, in 10^9.
    gflops: the rate reached over the whole stage, whatever else it did. share_of_float32: of the device's measured
    matrix product rate.
    """

    seconds: float
    cpu_seconds: float
    peak_gb: float
    gflop: float
    gflops: float
    share_of_float32: float | None
    device_peak_gb: float | None = None


def measure_stages(
    input_path: Path,
    config: ReconstructConfig,
    networks: Networks,
    *,
    matmul: float | None,
    progress: Progress | None = None,
) -> dict[str, StageCost]:
    """One reconstruction in a temporary run folder, stage by stage, and `total` over all.

    Loading the models is a stage of its own, `load`. matmul: GFLOP/s that `share_of_float32` refers to.
    """
    costs: dict[str, StageCost] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        with _PeakMemory(networks.device) as memory, FlopCounter() as counter:
            began, cpu_began = time.perf_counter(), time.process_time()
            yield
            if networks.device.type == "cuda":
                torch.cuda.synchronize(networks.device)
            seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
        costs[name] = _cost(seconds, cpu_seconds, memory.peak, memory.device_peak, counter.flops, matmul)

    posed = is_scene_folder(input_path)
    with open_run(None) as run:
        chain = Chain(run, input_path, config, networks, progress=progress)
        with stage("load"):
            for name in ("lrm", "canonical_lrm", "lim", "canonical_lim", *(() if posed else ("views",))):
                getattr(networks, name)
        with stage("ingest"):
            take_in(chain.steps, input_path, config.ingest, config.posed)
        if not posed:
            with stage("views"):
                chain.views()
        with stage("keyframes"):
            chain.keyframes()
        if config.refinement.seconds_for(posed=posed) > 0:
            with stage("refined"):
                chain.refined()
        with stage("track"):
            chain.track()
        with stage("texture"):
            chain.texture()
        with stage("export"):
            write_result(chain.steps, run.path / "bench.glb", config.export)
    return {**costs, "total": _total(costs, matmul)}


def compare(now: Mapping[str, Any], earlier: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """For every stage that both have: this run's figures divided by the earlier one's (below 1: less).

    Both are `stages` tables as JSON values; a figure that is 0 or absent in the earlier one is left out.
    """
    return {
        name: {key: round(now[name][key] / before[key], 4) for key in COMPARED if before.get(key)}
        for name, before in earlier.items()
        if name in now
    }


def to_plain(costs: Mapping[str, StageCost]) -> dict[str, dict[str, Any]]:
    """JSON values; what no device has is left out."""
    return {name: {k: v for k, v in asdict(cost).items() if v is not None} for name, cost in costs.items()}


class FlopCounter(TorchDispatchMode):
    """Adds up operations while the context is open, by PyTorch's own formulas and one for the CPU's attention.

    `torch.utils.flop_counter.FlopCounterMode` gives the same sums, but follows modules and takes operators apart,
    which slows what is being timed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        if packet is torch.ops.aten._scaled_dot_product_flash_attention_for_cpu:
            query, key, value = (tensor.shape for tensor in args[:3])
            self.flops += 2 * query[:-1].numel() * key[-2] * (query[-1] + value[-1])
        elif (formula := flop_registry.get(packet)) is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=result)
        return result


def _cost(
    seconds: float, cpu_seconds: float, peak: int, device_peak: int | None, flops: float, matmul: float | None
) -> StageCost:
    rate = flops / max(seconds, 1e-9) / 1e9
    return StageCost(
        seconds=round(seconds, 3),
        cpu_seconds=round(cpu_seconds, 3),
        peak_gb=round(peak / 1e9, 3),
        gflop=round(flops / 1e9, 3),
        gflops=round(rate, 2),
        share_of_float32=round(rate / matmul, 4) if matmul else None,
        device_peak_gb=None if device_peak is None else round(device_peak / 1e9, 3),
    )


def _total(costs: Mapping[str, StageCost], matmul: float | None) -> StageCost:
    device_peaks = [c.device_peak_gb for c in costs.values() if c.device_peak_gb is not None]
    return _cost(
        sum(c.seconds for c in costs.values()),
        sum(c.cpu_seconds for c in costs.values()),
        round(max(c.peak_gb for c in costs.values()) * 1e9),
        round(max(device_peaks) * 1e9) if device_peaks else None,
        sum(c.gflop for c in costs.values()) * 1e9,
        matmul,
    )


class _PeakMemory:
    """Watches this process from a thread of its own while the context is open."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device if device.type == "cuda" else None
        self._process, self._done = psutil.Process(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak, self.device_peak = 0, None if self._cuda is None else 0

    def __enter__(self) -> _PeakMemory:
        if self._cuda is not None:
            torch.cuda.reset_peak_memory_stats(self._cuda)
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._sample()
        if self._cuda is not None:
            self.device_peak = torch.cuda.max_memory_allocated(self._cuda)

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        self.peak = max(self.peak, self._process.memory_info().rss)
