"""Where options come from, the weakest first: defaults, lim.toml, --config, --set, the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lim_cli.cli.option_layers import merge, parse_set, read_file
from lim_cli.core.config import from_plain, hint_for, leaf_paths
from lim_cli.core.errors import ConfigError
from lim_cli.stages.config import ALIGNMENTS, OPTION_PATHS, ReconstructConfig

if TYPE_CHECKING:
    import typer

DEFAULT_FILE = Path("lim.toml")


@dataclass(frozen=True)
class CommandConfig:
    """What a configuration may say beside the reconstruction itself: paths as on the command line, and the device.

    mesh: the user's own, which is written in place of ours. mesh_frame: that it is posed like, None = the one that
    fits best. mesh_align: one of `ALIGNMENTS`.

    Raises:
        ConfigError: a value is out of range.
    """

    input: tuple[str, ...] = ()
    output: str | None = None
    preview: str | None = None
    sheet: str | None = None
    mesh: str | None = None
    mesh_frame: int | None = None
    mesh_align: str = "auto"
    workdir: str | None = None
    weights: str | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.mesh_align not in ALIGNMENTS:
            raise ConfigError(f"Option mesh-align must be one of {', '.join(ALIGNMENTS)}, got {self.mesh_align!r}.")
        if self.mesh_frame is not None and self.mesh_frame < 0:
            raise ConfigError(f"Option mesh-frame must be 0 or more, got {self.mesh_frame}.")


@dataclass(frozen=True)
class Settings:
    """All options of a command, each from the strongest of its sources."""

    command: CommandConfig = field(default_factory=CommandConfig)
    config: ReconstructConfig = field(default_factory=ReconstructConfig)

    @property
    def weights(self) -> Path | None:
        return Path(self.command.weights) if self.command.weights is not None else None


def read_settings(context: typer.Context, file: Path | None, sets: Sequence[str] | None) -> Settings:
    """The settings of a command that was called with `--config file` and `--set` for each of `sets`.

    Raises:
        ConfigError: an unknown option (the nearest is named) or a wrong value, and where it stands.
    """
    layers: list[tuple[str, Mapping[str, Any]]] = []
    if DEFAULT_FILE.is_file():
        layers.append((str(DEFAULT_FILE), read_file(DEFAULT_FILE)))
    if file is not None:
        layers.append((str(file), read_file(file)))
    layers += [(f"--set {text}", parse_set(text)) for text in sets or ()]
    layers.append(("", asked_for(context)))
    return resolve(layers)


def resolve(layers: Sequence[tuple[str, Mapping[str, Any]]]) -> Settings:
    """Layers (where they come from, their options), the weakest first, as one.

    Options are nested tables (`track`: {`stiffness`: 3}) or the command line's own names (`vertices`: 500).

    Raises:
        ConfigError: see `read_settings`.
    """
    command: dict[str, Any] = {}
    nested: dict[str, Any] = {}
    for origin, values in layers:
        try:
            own, table = _sorted_out(values)
            from_plain(CommandConfig, own)
            from_plain(ReconstructConfig, table)
        except ConfigError as error:
            raise ConfigError(f"{origin}: {error}" if origin else str(error)) from error
        # Another input's results must not replace those of the configuration's, nor another output's pictures.
        if "output" in command and ("input" in own or "output" in own):
            for result in ("output", "preview", "sheet"):
                command.pop(result, None)
            if "input" in own:
                nested.get("export", {}).pop("name", None)  # what the file calls the other object
        command |= own
        merge(nested, table)
    return Settings(from_plain(CommandConfig, command), from_plain(ReconstructConfig, nested))


def asked_for(context: typer.Context) -> dict[str, Any]:
    """The options that the user typed, by the names of `resolve`."""
    known = {*OPTION_PATHS, *(f.name for f in fields(CommandConfig))}
    typed = {}
    for parameter, value in context.params.items():
        source = context.get_parameter_source(parameter)
        name = "input" if parameter == "inputs" else parameter
        if name in known and source is not None and source.name == "COMMANDLINE":
            typed[name] = str(value) if isinstance(value, Path) else value
    return typed


def absolute_folder(text: str) -> str:
    """The absolute path where `text` names a folder; itself where it means something else."""
    return str(Path(text).resolve()) if Path(text).is_dir() else text


def with_absolute_folders(config: ReconstructConfig) -> ReconstructConfig:
    """The same, meaning the same from any working folder."""
    return replace(
        config,
        views_model=config.views_model and absolute_folder(config.views_model),
        ingest=replace(config.ingest, matte=absolute_folder(config.ingest.matte)),
        posed=replace(config.posed, matte=absolute_folder(config.posed.matte)),
    )


def _sorted_out(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of CommandConfig, and those of ReconstructConfig as nested tables."""
    own: dict[str, Any] = {}
    nested: dict[str, Any] = {}
    names = [f.name for f in fields(CommandConfig)]
    tables = [f.name for f in fields(ReconstructConfig)]
    for key, value in _plain_names(values):
        if key in names:
            own[key] = [value] if key == "input" and isinstance(value, str) else value
        elif key in OPTION_PATHS:
            for path in OPTION_PATHS[key]:
                merge(nested, _table(path, value))
        elif key in tables:
            merge(nested, {key: value})
        else:
            known = list(dict.fromkeys([*OPTION_PATHS, *names, *tables, *leaf_paths(ReconstructConfig)]))
            raise ConfigError(f"Unknown option '{key}'.{hint_for(key, known)}")
    return own, nested


def _plain_names(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Entries with texture-size written texture_size, at all depths."""
    for key, value in values.items():
        yield key.replace("-", "_"), dict(_plain_names(value)) if isinstance(value, Mapping) else value


def _table(path: str, value: Any) -> dict[str, Any]:
    head, _, rest = path.partition(".")
    return {head: _table(rest, value) if rest else value}
