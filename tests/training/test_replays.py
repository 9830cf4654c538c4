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


def test_one_step_of_so_many_takes_a_new_sample() -> None:
    replays, generator = Replays(2, kept=9, every=3), torch.Generator().manual_seed(0)
    steps = []
    for n in range(10):
        new = replays.due()
        sample = {"alpha": torch.tensor([float(n)])}
        drawn = replays.joined(sample, generator) if new else replays.again(1, generator)
        assert len(drawn["alpha"]) == (3 if n else 1)
        steps.append(new)
    # until two and a new one are remembered every step takes one
    assert steps == [True, True, True, False, False, True, False, False, True, False]
