from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from lim_cli.training.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(3, 24, 24), (2, 40, 16), (2, 16, 40)])
def test_singular_values_come_near_one_and_vectors_stay(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    matrices = torch.randn(shape)
    found = orthogonalised(matrices).float()
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.15
    assert values.max() < 1.3
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    in_its_basis = u.mT @ found @ v.mT
    beside = in_its_basis - torch.diag_embed(in_its_basis.diagonal(dim1=-2, dim2=-1))
    assert beside.abs().max() < 0.05  # bfloat16 where that is what the machine is fast at


def test_it_is_torchs_own_muon_matrix_by_matrix() -> None:
    torch.manual_seed(0)
    ours = nn.ModuleList([nn.Linear(12, 8, bias=False), nn.Linear(8, 20, bias=False), nn.Linear(12, 8, bias=False)])
    theirs = copy.deepcopy(ours)
    settings = {"lr": 0.02, "weight_decay": 0.1}
    optimizers = [
        Muon(ours.parameters(), **settings),
        torch.optim.Muon(theirs.parameters(), momentum=0.95, adjust_lr_fn="match_rms_adamw", **settings),
    ]
    for _ in range(4):
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            mine.grad = torch.randn_like(mine)
            other.grad = mine.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        # theirs rounds to bfloat16: a hundredth of the steps' size
        torch.testing.assert_close(mine, other, rtol=0, atol=4 * 0.02 * 0.2 * 20**0.5 * 0.02)


def test_only_matrices() -> None:
    with pytest.raises(ValueError, match="expected matrices"):
        Muon([nn.Parameter(torch.zeros(3))], lr=0.1, weight_decay=0.0)


def test_matrices_without_gradient_rest() -> None:
    moving, resting = (nn.Parameter(torch.ones(4, 4)) for _ in range(2))
    moving.grad = torch.eye(4)
    Muon([moving, resting], lr=0.1, weight_decay=0.0).step()
    assert (resting == 1).all()
    assert (moving != 1).any()


def test_a_convolution_moves_as_the_matrix_it_is() -> None:
    weight = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    gradient = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(1))
    kernel, matrix = nn.Parameter(weight.clone()), nn.Parameter(weight.flatten(1).clone())
    kernel.grad, matrix.grad = gradient, gradient.flatten(1)
    Muon([kernel], lr=0.1, weight_decay=0.01).step()
    Muon([matrix], lr=0.1, weight_decay=0.01).step()
    torch.testing.assert_close(kernel.flatten(1), matrix)
    assert not torch.equal(kernel, weight)
