"""Releases of weights on a Hugging Face hub: what lies in the local cache, and fetching what does not.

A repository holds what `weights/` holds: README.md with the table of SHA-256, and `<release>/<model>/...`. It is named
`owner/name`, or `owner/name@revision`. The cache, its resumable downloads and its environment variables (HF_HOME,
HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE) are huggingface_hub's own.
"""

from __future__ import annotations

import re
from pathlib import Path

from lim_cli.core.errors import WeightsError

KINDS = ("*.safetensors", "*.json", "*.md")
"""Files that are fetched: none of a kind that can hold code."""

_HUB_ID = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


def is_hub_id(text: str) -> bool:
    """Whether a text can name a repository: `owner/name` or `owner/name@revision`."""
    return _HUB_ID.fullmatch(text) is not None


def cached(hub_id: str) -> Path | None:
    """The repository's snapshot in the local cache, as far as it was fetched, or None; never goes to the network."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    name, revision = _parts(hub_id)
    try:
        table = try_to_load_from_cache(name, "README.md", revision=revision)
    except HFValidationError:
        return None
    return Path(table).parent if isinstance(table, str) else None


def pull(hub_id: str, *, release: str | None = None, force: bool = False, bars: bool = False) -> Path:
    """Fetches a repository (or one release of it) into the local cache, going on where an earlier call broke off.

    force: fetches again what is there already. bars: the hub's own progress bars on stderr. Returns the snapshot's
    folder, which `cached` finds from now on.

    Raises:
        WeightsError: no such repository or revision, or the hub cannot be reached.
    """
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        HTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils import disable_progress_bars

    name, revision = _parts(hub_id)
    if not bars:
        disable_progress_bars()
    patterns = [*KINDS] if release is None else ["README.md", *(f"{release}/{kind}" for kind in KINDS)]
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns, force_download=force))
    except GatedRepoError as error:
        raise WeightsError(f"The hub gives {name} to members only; log in with `hf auth login`.") from error
    except RepositoryNotFoundError as error:
        raise WeightsError(f"The hub {constants.ENDPOINT} has no repository {name}; check its name.") from error
    except RevisionNotFoundError as error:
        raise WeightsError(f"The repository {name} has no revision {revision}; check its name.") from error
    except HFValidationError as error:
        raise WeightsError(f"'{hub_id}' is no hub repository; give it as owner/name.") from error
    except (HTTPError, OSError) as error:
        raise WeightsError(
            f"The hub {constants.ENDPOINT} cannot be reached or broke off; run the same command again to go on, or "
            "copy a folder of weights here and give --weights."
        ) from error


def _parts(hub_id: str) -> tuple[str, str | None]:
    found = _HUB_ID.fullmatch(hub_id)
    if found is None:
        raise WeightsError(f"'{hub_id}' is no hub repository; give it as owner/name.")
    return found["name"], found["revision"]
