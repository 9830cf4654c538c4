"""The rows of Tables 4 and 5."""

from __future__ import annotations

from lim_cli.evaluation.clip_optimisation import OPTIMISED, ClipOptimisation, FitConfig
from lim_cli.evaluation.monocular_methods import (
    ORACLE,
    OURS,
    PER_FRAME,
    SINGLE,
    ChainConfig,
    EveryFrame,
    Method,
    SingleView,
    TrueViews,
    WholeChain,
)
from lim_cli.evaluation.triposr import TRIPOSR, TripoSR
from lim_cli.stages.networks import Networks


def monocular_rows(
    networks: Networks, *, triposr: str | None = None, iterations: int = 300, chain: ChainConfig | None = None
) -> dict[str, Method]:
    """triposr: folder or hub id of its weights, for a row of its own. iterations: of the per-clip optimisation.

    Raises:
        MissingError: TripoSR is asked for and not here.
    """
    more: dict[str, Method] = {TRIPOSR: TripoSR(triposr, networks.device)} if triposr is not None else {}
    return {
        OURS: WholeChain(networks, chain),
        SINGLE: SingleView(networks),
        **more,
        PER_FRAME: EveryFrame(networks),
        OPTIMISED: ClipOptimisation(networks, FitConfig(iterations=iterations)),
        ORACLE: TrueViews(networks, chain),
    }
