"""All body plans by name: each builds a random skeleton with parts and motion."""

from __future__ import annotations

from collections.abc import Callable

from lim_cli.data.procedural.creepers import fish, insect, snake, tentacles
from lim_cli.data.procedural.plan import Plan
from lim_cli.data.procedural.skeleton import Skeleton
from lim_cli.data.procedural.things import machine, mongrel, plant, soft_thing
from lim_cli.data.procedural.walkers import biped, bird, quadruped

__all__ = ["PLANS", "PLAN_CHANCES", "Plan"]

PLANS: dict[str, Callable[[Plan], Skeleton]] = {
    "biped": biped,
    "quadruped": quadruped,
    "bird": bird,
    "fish": fish,
    "insect": insect,
    "snake": snake,
    "tentacles": tentacles,
    "plant": plant,
    "machine": machine,
    "soft_thing": soft_thing,
    "mongrel": mongrel,
}
PLAN_CHANCES = {
    "biped": 0.2,
    "quadruped": 0.2,
    "bird": 0.09,
    "fish": 0.1,
    "insect": 0.07,
    "snake": 0.05,
    "tentacles": 0.06,
    "plant": 0.05,
    "machine": 0.07,
    "soft_thing": 0.04,
    "mongrel": 0.07,
}
