"""How the compiled kernels see an object at one time, and what they share.

The kernels (numba, no compiler needed at install) lie in `distances`, `tracing`, `surfaces`, `rendering` and
`queries`, each importing those before it. Points and rays go through them in packets of up to PACKET, so that
every inner loop runs over a packet without branches and compiles to vector instructions.

Compiled code is kept on disk with the functions called from Python, in `rendering` and `queries`: after changing
one of the other files, touch these two (see `core.cached_njit`). numba also compiles a function once more for every
constant among its arguments, so counts and switches are passed as np.int64(..).
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from lim_cli.core.cached_njit import cached_njit

ROUND_CONE, BOX, BALL, CYLINDER = 0, 1, 2, 3
PLAIN, STRIPES, DOTS, GRADIENT, BLOTCHES, COUNTERSHADE, CHECKER = 0, 1, 2, 3, 4, 5, 6
LOOK_SIZE = 14  # base rgb, second rgb, pattern, frequency, phase, axis xyz, part half height, softness
PACKET = 64
NEAR = np.float32(2e-3)  # a ray this close to the surface has met it

compiled = numba.njit(nogil=True, fastmath=True, error_model="numpy")
entry_point = cached_njit(fastmath=True, error_model="numpy")  # with all that it calls


class Parts(NamedTuple):
    """The parts of an object at one time; their union is a polynomial smooth minimum.

    inverse [part, 12]: part from world, an affine map's upper rows. shape [part, 8]: kind, a, b, c, rounding; a
    cone's slope and its cosine; the frame's smallest scale, negated where the frame scales unevenly.
    ball [part, 4]: a bounding ball's centre xyz and radius. blend: length of the smooth minimum (0: hard edges).
    All float32.
    """

    inverse: np.ndarray
    shape: np.ndarray
    ball: np.ndarray
    blend: np.float32


class Skin(NamedTuple):
    """What surfaces look like and where they came from.

    forward [part, 12]: world from part in the reference pose. look [part, LOOK_SIZE]: colours and pattern.
    hard_colour: colours stay with the nearest part where parts blend. light [11]: direction 3, colour 3, ambient 3,
    specular, gloss. All arrays float32.
    """

    forward: np.ndarray
    look: np.ndarray
    hard_colour: bool
    light: np.ndarray


@compiled
def whole_vectors(count):
    """`count` rounded up to what vector instructions take at once: surplus lanes cost less than a remainder loop."""
    return (count + 7) // 8 * 8
