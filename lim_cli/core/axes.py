"""The two camera conventions and the turn between them; needs no torch."""

from __future__ import annotations

import numpy as np

OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0]).astype(np.float32)
"""OpenCV: x right, y down, z forward. OpenGL: x right, y up, z backward."""
