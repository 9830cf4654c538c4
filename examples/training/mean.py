"""The mean of several models' weights: python examples/training/mean.py MODEL MODEL... -o MODEL

For runs that began with the same weights, or checkpoints of one: what each learned by chance cancels out. The
configuration is the first one's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from lim_cli.core.errors import LimError, WeightsError
from lim_cli.models.checkpoints import read_config, read_tensors, save_tensors


def mean(models: Sequence[Path]) -> dict[str, Tensor]:
    """Of all tensors, by name; what is no floating-point number is the first one's.

    Raises:
        WeightsError: a model lacks a tensor that another has, or has it in another shape.
    """
    first, *others = (read_tensors(model) for model in models)
    for model, tensors in zip(models[1:], others, strict=True):
        for name in sorted(first.keys() | tensors.keys()):
            shapes = [tuple(t[name].shape) if name in t else None for t in (first, tensors)]
            if shapes[0] != shapes[1]:
                raise WeightsError(
                    f"'{name}' is {shapes[0]} in {models[0]} and {shapes[1]} in {model}; nothing to average."
                )
    return {
        name: torch.stack([t[name].double() for t in (first, *others)]).mean(0) if one.is_floating_point() else one
        for name, one in first.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="MODEL")
    given = parser.parse_args()
    try:
        save_tensors(given.output, mean(given.models), read_config(given.models[0]))
    except LimError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
