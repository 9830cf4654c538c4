"""Fields and triplanes whose shape is known: balls."""

from __future__ import annotations

import torch
from tiny_models import tiny_lrm

from lim_cli.models.triplane import FieldDecoder


def ball_field() -> FieldDecoder:
    """A field that reads density and colour straight off the planes: silu(x) - silu(-x) = x."""
    field = tiny_lrm().field
    channels, hidden = field.config.channels, field.config.hidden
    with torch.no_grad():
        for layer in (field.input, field.hidden, field.output):
            layer.weight.zero_()
            layer.bias.zero_()
        for value in range(4):
            for plane in range(3):
                field.input.weight[2 * value, plane * channels + value] = 1.0
                field.input.weight[2 * value + 1, plane * channels + value] = -1.0
            for n, sign in ((2 * value, 1.0), (2 * value + 1, -1.0)):
                field.hidden.weight[n, 2 * value], field.hidden.weight[n, 2 * value + 1] = sign, -sign
                field.output.weight[value, n] = sign
    assert hidden >= 8
    return field


def ball(radius: float, colour: float) -> torch.Tensor:
    """Planes of logit 8 (radius^2 - |x|^2), spread over the three, and one grey."""
    side = 32
    places = (torch.arange(side) + 0.5) / side * 2 - 1
    squares = places[:, None] ** 2 + places[None] ** 2  # two of the three axes; each axis is in two planes
    planes = torch.zeros(3, ball_field().config.channels, side, side)
    planes[:, 0] = 8 * (radius**2 / 3 - squares / 2)
    planes[:, 1:4] = colour / 3
    return planes
