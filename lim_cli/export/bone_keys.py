"""The keys of moving bones: rotations and translations at as few times as an error bound allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from lim_cli.export.frame_thinning import choose_keys

# Of an accessor for times of a bone's own, in the file's JSON.
ACCESSOR_BYTES = 120


@dataclass(frozen=True)
class BoneKeys:
    """One bone: frames [key] of the track, rotations [key, 4] (x, y, z, w) as stored, translations [key, 3] float32."""

    frames: np.ndarray
    rotations: np.ndarray
    translations: np.ndarray


def bone_keys(
    rotations: np.ndarray,
    translations: np.ndarray,
    times: np.ndarray,
    *,
    radius: float,
    tolerance: float,
    quantized: bool,
) -> BoneKeys:
    """The keys of one bone, all of them where leaving some out makes the file no smaller.

    No point within `radius` of the bone's node is further than `tolerance` from where all keys would put it, at any
    frame.

    Args:
        rotations: [time, 4] unit quaternions, each the nearer of two to the one before. translations: [time, 3].
        quantized: rotations become int16, in steps of 1 / 32767.
    """
    turns = np.round(rotations * 32767).astype(np.int16) if quantized else rotations.astype(np.float32)
    moves = translations.astype(np.float32)
    everything = np.arange(len(times))
    kept, _ = choose_keys(
        len(times), lambda a, b: _missed(rotations, translations, times, radius, a, b), tolerance=tolerance
    )
    row = 4 * turns.itemsize + 3 * moves.itemsize
    if len(kept) * (row + 4) + ACCESSOR_BYTES >= len(times) * row:
        kept = everything
    return BoneKeys(kept, turns[kept], moves[kept])


def played(keys: BoneKeys, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation matrices [time, 3, 3] and translations [time, 3] at all times of the track, as readers interpolate."""
    at, values = times[keys.frames], Rotation.from_quat(keys.rotations.astype(np.float64))
    if len(at) == 1:
        return values.as_matrix(), keys.translations.astype(np.float64)
    end = np.clip(np.searchsorted(at, times, side="right"), 1, len(at) - 1)
    alpha = (times - at[end - 1]) / (at[end] - at[end - 1])
    turned = values[end - 1] * Rotation.from_rotvec(alpha[:, None] * (values[end - 1].inv() * values[end]).as_rotvec())
    moves = keys.translations.astype(np.float64)
    moved = moves[end - 1] + alpha[:, None] * (moves[end] - moves[end - 1])
    return turned.as_matrix(), moved


def _missed(
    rotations: np.ndarray, translations: np.ndarray, times: np.ndarray, radius: float, start: int, end: int
) -> np.ndarray:
    """How far keys between two others are from what is interpolated [end - start - 1], at most, within the radius.

    Along the arc between two rotations, as the specification says, and along the chord, as some readers do.
    """
    between = slice(start + 1, end)
    alpha = ((times[between] - times[start]) / (times[end] - times[start]))[:, None]
    first, last = rotations[start], rotations[end]
    truth = Rotation.from_quat(rotations[between])
    arc = Rotation.from_rotvec(alpha * (Rotation.from_quat(last) * Rotation.from_quat(first).inv()).as_rotvec())
    chord = Rotation.from_quat((1 - alpha) * first + alpha * (last if first @ last > 0 else -last))
    angle = np.maximum((truth.inv() * (arc * Rotation.from_quat(first))).magnitude(), (truth.inv() * chord).magnitude())
    moved = (1 - alpha) * translations[start] + alpha * translations[end] - translations[between]
    return np.asarray(2 * np.sin(angle / 2) * radius + np.linalg.norm(moved, axis=1))
