"""Operations are counted against closed forms and PyTorch's own counter."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from tiny_models import tiny_lrm, tiny_rig, tiny_views
from torch.utils.flop_counter import FlopCounterMode

from lim_cli.core.matmul import matmul_rates
from lim_cli.evaluation.stage_costs import FlopCounter, compare


def test_counts_are_the_closed_forms() -> None:
    a, weight, image, kernel = torch.ones(6, 5), torch.ones(7, 5), torch.ones(1, 3, 8, 8), torch.ones(4, 3, 3, 3)
    query, key, value = torch.ones(2, 4, 10, 8), torch.ones(2, 4, 12, 8), torch.ones(2, 4, 12, 8)
    with torch.no_grad(), FlopCounter() as counter:
        F.linear(a, weight)
        assert counter.flops == 2 * 6 * 5 * 7
        F.conv2d(image, kernel, padding=1)
        assert counter.flops == 2 * 6 * 5 * 7 + 2 * 8 * 8 * 4 * 3 * 9
        counter.flops = 0
        F.scaled_dot_product_attention(query, key, value)
        assert counter.flops == 2 * 2 * 4 * 10 * 12 * (8 + 8)
        counter.flops = 0
        (a + a).sum()
        assert counter.flops == 0


def test_a_model_counts_as_pytorch_counts_it_beside_attention() -> None:
    lrm, rig, views = tiny_lrm(), tiny_rig(), tiny_views()
    attended = 0

    def attention(query: list[int], key: list[int], value: list[int], *_: object, **__: object) -> int:
        nonlocal attended
        attended += 1
        return 2 * query[0] * query[1] * query[2] * key[2] * (query[3] + value[3])

    known = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention}
    with torch.no_grad():
        with FlopCounterMode(display=False, custom_mapping=known) as theirs:
            lrm(views, rig)
        with FlopCounter() as ours:
            lrm(views, rig)
    assert ours.flops == theirs.get_total_flops() > 1e6
    assert attended == 1 + 2 * 3  # the encoder's block, and two in each of LRM's three


def test_ratios_are_now_over_earlier() -> None:
    now = {"views": {"seconds": 2.0, "cpu_seconds": 1.0, "peak_gb": 1.0, "gflop": 6.0}, "new": {"seconds": 1.0}}
    earlier = {"views": {"seconds": 4.0, "peak_gb": 1.0, "gflop": 0.0}, "gone": {"seconds": 1.0}}
    assert compare(now, earlier) == {"views": {"seconds": 0.5, "peak_gb": 1.0}}


def test_matrix_products_have_a_rate() -> None:
    rates = matmul_rates("cpu")
    assert set(rates) == {"float32", "bfloat16"}
    assert rates["float32"] is not None
    assert rates["float32"] > 0
