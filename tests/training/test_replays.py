from __future__ import annotations

import torch

from lim_cli.training.replays import Replays


def test_replays_come_from_what_was_seen_before() -> None:
    replays, generator = Replays(2, kept=2), torch.Generator().manual_seed(0)
    known = [{"alpha": torch.tensor([float(n)])} for n in range(4)]
    drawn = [replays.joined(sample, generator)["alpha"].tolist() for sample in known]
    assert drawn[0] == [0.0]  # nothing was seen before
    for n, values in enumerate(drawn[1:], 1):
        assert values[0] == n
        assert len(values) == 3
        assert set(values[1:]) <= {n - 1, n - 2}
