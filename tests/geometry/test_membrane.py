from __future__ import annotations

import numpy as np
import pytest
from shapes import sphere

from lim_cli.geometry.membrane import stretched

MESH = sphere(1.0, 3)
WHOLE = np.arange(len(MESH.vertices))


def test_a_value_known_everywhere_stays() -> None:
    value = np.full((len(WHOLE), 2), [0.25, -3.0])
    found = stretched(value, np.ones(len(WHOLE)), MESH.faces, WHOLE, pull=1e-9)
    np.testing.assert_allclose(found, value, atol=1e-6)


def test_between_two_poles_it_runs_evenly_and_no_seam_stops_it() -> None:
    height = MESH.vertices[:, 1].astype(np.float64)
    known = (np.abs(height) > 0.9).astype(float)
    values = np.sign(height)[:, None]
    found = stretched(values, known, MESH.faces, WHOLE, pull=1e-9)[:, 0]
    assert np.abs(found[np.abs(height) < 0.02]).max() < 0.05
    assert np.corrcoef(found, np.arctanh(np.clip(height, -0.97, 0.97)))[0, 1] > 0.98  # harmonic on a sphere
    # every face with vertices of its own
    split = MESH.faces.ravel()
    apart = np.arange(len(split)).reshape(-1, 3)
    cut = stretched(values[split], known[split], apart, split, pull=1e-9)[:, 0]
    np.testing.assert_allclose(cut, found[split], atol=1e-9)


def test_far_from_what_is_known_it_runs_out() -> None:
    height = MESH.vertices[:, 1]
    known = (height > 0.95).astype(float)
    found = stretched(np.ones((len(WHOLE), 1)), known, MESH.faces, WHOLE, pull=0.5, towards=0.2)[:, 0]
    assert found[height.argmin()] == pytest.approx(0.2, abs=1e-3)
    assert found[height.argmax()] > 0.8
