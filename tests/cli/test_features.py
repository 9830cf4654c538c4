from __future__ import annotations

import importlib.metadata

from lim_cli.cli.features import FEATURES, Feature, installed


def test_what_is_missing_is_said_with_its_command() -> None:
    assert installed("no-such-distribution") is None
    assert installed("numpy") == importlib.metadata.version("numpy")
    absent = Feature("a", "nothing", "no-such-distribution", "pip install a")
    assert absent.missing() == "pip install a"
    assert Feature("a", "nothing", "numpy", "pip install a").missing() is None
    assert Feature("a", "nothing", "numpy", "pip install a", lambda: "put b there").missing() == "put b there"


def test_codecs_of_the_installed_pyav_are_found() -> None:
    found = {feature.name: feature.missing() for feature in FEATURES}
    assert found["mp4"] is None
    assert found["webm-alpha"] is None
