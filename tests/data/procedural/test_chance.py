from __future__ import annotations

import numpy as np

from lim_cli.data.procedural.chance import Choice


def test_draws_are_those_of_numpy_with_the_same_seed() -> None:
    chances = {"one": 0.2, "two": 0.35, "three": 0.45}
    quick, slow = np.random.default_rng(3), np.random.default_rng(3)
    choice = Choice(chances)
    drawn = [choice.draw(quick) for _ in range(200)]
    assert drawn == [str(slow.choice(list(chances), p=list(chances.values()))) for _ in range(200)]
    assert set(drawn) == set(chances)
