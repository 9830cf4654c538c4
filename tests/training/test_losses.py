from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from moving_shapes import ball
from torch import Tensor, nn

from lim_cli.data.samples import SampleSpec, draw_sample
from lim_cli.models.triplane import FieldConfig, FieldDecoder
from lim_cli.training.losses import FieldLossWeights, distillation_loss, edge_distance, field_losses


class Ball(nn.Module):
    """A field in closed form: a ball of colour 0.5 whose canonical coordinates are where it is."""

    def __init__(self, radius: float, kind: str) -> None:
        super().__init__()
        self.config = FieldConfig(kind=kind)  # type: ignore[arg-type]
        self.radius = radius

    def forward(self, triplane: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        values = points if self.config.kind == "canonical" else torch.full_like(points, 0.5)
        return (self.radius - points.norm(dim=-1)) / 0.025, values


@pytest.fixture(scope="module")
def labels() -> dict[str, Tensor]:
    spec = SampleSpec(size=16, rays=128, points=256, surface=64, canonical=True)
    sample = draw_sample(ball(), np.random.default_rng(0), spec)
    return {k: torch.from_numpy(v) for k, v in sample.items()}


def losses(field: nn.Module, labels: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    one = {k: v[:1] for k, v in labels.items()}
    return field_losses(field, torch.zeros(1), one, FieldLossWeights(), torch.Generator().manual_seed(0))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["rgb", "canonical"])
def test_the_true_field_has_the_least_loss(kind: str, labels: dict[str, Tensor]) -> None:
    radius = float(labels["surface"][0].norm(dim=-1).mean())
    (true, metrics), (empty, nothing), (bloated, _) = (
        losses(Ball(r, kind), labels) for r in (radius, 0.0, 1.3 * radius)
    )
    assert true < bloated
    assert true < empty
    assert metrics["iou"] > 0.9
    assert nothing["iou"] == 0
    assert metrics["ray_depth"] < 0.02
    if kind == "canonical":
        assert metrics["xyz_rms"] < 0.03
        assert metrics["surface"] < 1e-4


def test_switched_off_terms_are_zero(labels: dict[str, Tensor]) -> None:
    weights = replace(FieldLossWeights(), ray_values=0.0, ray_opacity=0.0, ray_depth=0.0, surface=0.0)
    one = {k: v[:1] for k, v in labels.items()}
    field: FieldDecoder = Ball(0.5, "rgb")  # type: ignore[assignment]
    total, terms = field_losses(field, torch.zeros(1), one, weights, torch.Generator().manual_seed(0))
    torch.testing.assert_close(total, terms["occupancy"])


def patch_labels(patch: int) -> dict[str, Tensor]:
    spec = SampleSpec(size=32, rays=4 * patch**2, points=64, surface=16, patch=patch)
    sample = draw_sample(ball(), np.random.default_rng(0), spec)
    return {k: torch.from_numpy(v)[:1] for k, v in sample.items()}


def test_patch_terms_are_least_for_the_true_field() -> None:
    labels, weights = patch_labels(16), FieldLossWeights(perceptual=2.0, edges=1.0)
    radius = float(labels["surface"][0].norm(dim=-1).mean())

    def blurred(found: Tensor, wanted: Tensor) -> Tensor:
        return F.avg_pool2d(found - wanted, 4).square().mean((1, 2, 3))

    def terms(size: float) -> dict[str, Tensor]:
        field: FieldDecoder = Ball(size, "rgb")  # type: ignore[assignment]
        generator = torch.Generator().manual_seed(0)
        total, found = field_losses(field, torch.zeros(1), labels, weights, generator, patch=16, perceptual=blurred)
        parts = ("occupancy", "surface", "ray_values", "ray_opacity", "ray_depth", "perceptual", "edges")
        torch.testing.assert_close(total, sum(found[name] for name in parts))
        return found

    true, bloated = terms(radius), terms(1.4 * radius)
    assert true["edges"] < 0.85 * bloated["edges"]
    assert true["perceptual"] < 0.85 * bloated["perceptual"]


def test_edge_distance_sees_edges_and_no_shift_of_brightness() -> None:
    flat = torch.zeros(1, 3, 8, 8)
    stripe = flat.clone()
    stripe[..., 4:] = 1.0
    assert edge_distance(flat + 0.3, flat) == 0
    # one step of 1 in the 7 (3, 1) horizontal differences of each row at the three scales; none vertically
    assert float(edge_distance(stripe, flat)) == pytest.approx((1 / 7 + 1 / 3 + 1) / 6)


def decoded() -> tuple[FieldDecoder, Tensor, Tensor]:
    torch.manual_seed(0)
    decoder = FieldDecoder(FieldConfig(4, 8))
    with torch.no_grad():
        decoder.output.weight.mul_(60)  # logits far beyond both cuts
    return decoder, torch.randn(1, 3, 4, 8, 8), 2 * torch.rand(1, 200, 3) - 1


def test_perfect_agreement_costs_nothing() -> None:
    decoder, triplane, points = decoded()
    assert decoder(triplane, points)[0].abs().max() > 5
    shape, colour = distillation_loss(decoder, triplane, triplane, points)
    assert shape == 0
    assert colour == 0


def test_distillation_pulls_towards_the_teacher_from_beyond_the_cuts() -> None:
    decoder, teacher, points = decoded()
    student = torch.randn(1, 3, 4, 8, 8, generator=torch.Generator().manual_seed(9)).requires_grad_()
    optimizer = torch.optim.Adam([student], 0.05)
    history = []
    for _ in range(40):
        loss = sum(distillation_loss(decoder, student, teacher, points), torch.zeros(()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert history[-1] < 0.3 * history[0]


def test_the_cross_entropy_of_opacity_is_the_usual_one(labels: dict[str, Tensor]) -> None:
    """A field of uniform thickness, whose opacity is known."""

    class Fog(Ball):
        def forward(self, triplane: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
            return torch.full(points.shape[:2], -10.0), torch.zeros_like(points)

    _, terms = losses(Fog(0.5, "rgb"), labels)
    mask = labels["ray_mask"][0].float()
    expected = F.binary_cross_entropy(torch.full_like(mask, 1e-4), mask)
    torch.testing.assert_close(terms["ray_opacity"], 0.4 * expected, atol=1e-3, rtol=1e-3)


def test_paper_preset_brings_the_paper_s_recipe_and_options_go_before_it() -> None:
    from lim_cli.cli.train import resolve

    paper = resolve("lrm", None, {"preset": "paper"}, [])
    assert (paper.optimizer, paper.learning_rate, paper.lim_head) == ("adam", 1e-4, "residual")
    assert paper.field_loss.occupancy == 0
    assert paper.lim_loss.distil == 0
    assert paper.lim_loss.causal == 1
    assert resolve("lrm", None, {"preset": "paper"}, ["learning_rate=3e-4"]).learning_rate == 3e-4
    assert resolve("lrm", None, {"preset": "small"}, []).optimizer == "muon"
