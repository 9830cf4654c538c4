"""Options from all their sources: what wins, and what is said of a wrong one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from lim_cli.cli.option_layers import parse_set, read_file
from lim_cli.cli.settings import resolve
from lim_cli.core.config import leaf_paths, to_plain
from lim_cli.core.errors import ConfigError
from lim_cli.stages.config import OPTION_PATHS, RANGES, ReconstructConfig


def test_nothing_said_is_the_default() -> None:
    settings = resolve([])
    assert settings.config == ReconstructConfig()
    assert settings.command.device == "auto"


def test_the_later_layer_wins_and_leaves_the_rest() -> None:
    settings = resolve(
        [
            ("lim.toml", {"vertices": 500, "fps": 12, "track": {"stiffness": 3}}),
            ("a.json", {"track": {"vertices": 600, "iterations": 2}, "device": "cpu"}),
            ("--set", parse_set("track.stiffness=4")),
            ("", {"fps": 24.0}),
        ]
    )
    track = settings.config.track
    assert (track.vertices, track.stiffness, track.iterations) == (600, 4.0, 2)
    assert (settings.config.fps, settings.command.device) == (24.0, "cpu")


def test_one_short_name_may_reach_two_stages() -> None:
    config = resolve([("", {"keyframe-stride": 3, "input-fps": 10})]).config
    assert (config.views.keyframe_stride, config.posed.keyframe_stride) == (3, 3)
    assert (config.ingest.input_fps, config.posed.input_fps) == (10.0, 10.0)


def test_every_short_name_and_range_belongs_to_an_option() -> None:
    known = set(leaf_paths(ReconstructConfig))
    assert {path for paths in OPTION_PATHS.values() for path in paths} <= known
    assert set(RANGES) == {path for path in known if _kind(path) & {int, float}}


def _kind(path: str) -> set[type]:
    """The types that an option may have."""
    holder: Any = ReconstructConfig
    *tables, name = path.split(".")
    for table in tables:
        holder = get_type_hints(holder)[table]
    kind = get_type_hints(holder)[name]
    return set(get_args(kind)) or {kind}


def test_a_stored_configuration_comes_back(tmp_path: Path) -> None:
    config = resolve([("", {"vertices": 700, "track": {"level": 0.5}, "matte": "alpha"})]).config
    file = tmp_path / "a.config.json"
    file.write_text(json.dumps({"input": "x.mp4", "output": "a.glb", **to_plain(config), "record": {"lim": "0"}}))
    again = resolve([(str(file), read_file(file))])
    assert again.config == config
    assert (again.command.input, again.command.output) == (("x.mp4",), "a.glb")


def test_another_input_or_output_leaves_the_stored_results_alone() -> None:
    results = {"output": "a.glb", "preview": "a.mp4", "sheet": "a.png"}
    stored: tuple[str, dict[str, Any]] = ("a.json", {"input": "x.mp4", **results})
    assert resolve([stored, ("", {"input": ["y.mp4"]})]).command.output is None
    elsewhere = resolve([stored, ("", {"output": "b.glb"})]).command
    assert (elsewhere.preview, elsewhere.sheet) == (None, None)
    both = resolve([stored, ("", {"input": ["y.mp4"], "output": "b.glb"})]).command
    assert (both.input, both.output, both.preview, both.sheet) == (("y.mp4",), "b.glb", None, None)
    assert resolve([stored]).command.preview == "a.mp4"
    assert resolve([("lim.toml", {"preview": "p.mp4"}), ("", {"output": "b.glb"})]).command.preview == "p.mp4"


def test_another_input_is_not_called_what_the_first_one_was() -> None:
    stored: tuple[str, dict[str, Any]] = ("a.json", {"input": "x.mp4", "output": "a.glb", "export": {"name": "a"}})
    assert resolve([stored, ("", {"output": "b.glb"})]).config.export.name == "a"  # the same bytes again
    assert resolve([stored, ("", {"input": ["y.mp4"], "output": "b.glb"})]).config.export.name is None
    own = ("lim.toml", {"export": {"name": "mine"}})
    assert resolve([own, ("", {"input": ["y.mp4"], "output": "b.glb"})]).config.export.name == "mine"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"track": {"stifness": 3}}, "Did you mean 'track.stiffness'?"),
        ({"stiffness": 3}, "Did you mean 'track.stiffness'?"),
        ({"vertises": 3}, "Did you mean 'vertices'?"),
        ({"trak": {"stiffness": 3}}, "Did you mean 'track"),
        ({"track": 3}, "must be a table"),
        ({"vertices": 5}, "vertices must be from 100 to 1000000"),
        ({"vertices": float("nan")}, "must be int"),
        ({"fps": float("nan")}, "fps must be"),
        ({"start": 4, "end": 2}, "after start"),
        ({"quantize": "perhaps"}, "must be bool"),
        ({"matte": 3}, "must be str"),
    ],
)
def test_a_wrong_option_is_named_with_its_place(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve([("lim.toml", values)])
    assert str(caught.value).startswith("lim.toml: ")
    assert said in str(caught.value)


def test_set_needs_a_name_and_a_value() -> None:
    assert parse_set("track.level = none") == {"track": {"level": "none"}}
    assert parse_set("views_model=a=b") == {"views_model": "a=b"}
    for text in ("track.stiffness", "=3", "track.=3"):
        with pytest.raises(ConfigError, match="NAME=VALUE"):
            parse_set(text)


def test_files_that_hold_no_options(tmp_path: Path) -> None:
    for name, text in (("a.json", "[1]"), ("b.json", "{"), ("c.toml", "a = "), ("d.yaml", "a: 1"), ("e.json", "\xff")):
        (tmp_path / name).write_text(text, encoding="latin-1")
        with pytest.raises(ConfigError, match=name):
            read_file(tmp_path / name)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_file(tmp_path / "absent.toml")


def test_the_elevation_is_a_number_or_auto() -> None:
    assert resolve([]).config.views.elevation is None
    assert resolve([("lim.toml", {"elevation": 20}), ("", {"elevation": "auto"})]).config.views.elevation is None
    assert resolve([("", {"elevation": "-5.5"})]).config.views.elevation == -5.5
    for wrong in ("up", "99", "nan"):
        with pytest.raises(ConfigError, match="elevation"):
            resolve([("", {"elevation": wrong})])
