"""The rotations nearest to many 3x3 matrices, ten times faster than a batch of general SVDs."""

from __future__ import annotations

import numpy as np

from lim_cli.core.cached_njit import cached_njit

SWEEPS = 8
"""Jacobi converges quadratically: five reach double precision."""


@cached_njit()
def nearest_rotations(matrices: np.ndarray) -> np.ndarray:
    """R [n, 3, 3] that maximises trace(R^T A), det R = 1, for each A of `matrices` [n, 3, 3] float64.

    A = U S V^T: eigenvectors V of A^T A by Jacobi rotations, the two larger columns of A V give U, cross products
    the third columns, so that a reflection is taken out along the least singular value.
    """
    result = np.empty_like(matrices)
    b, v, u = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    for n in range(matrices.shape[0]):
        a = matrices[n]
        for i in range(3):
            for j in range(3):
                b[i, j] = a[0, i] * a[0, j] + a[1, i] * a[1, j] + a[2, i] * a[2, j]
                v[i, j] = 1.0 if i == j else 0.0
        size = b[0, 0] + b[1, 1] + b[2, 2]
        for _ in range(SWEEPS):
            if abs(b[0, 1]) + abs(b[0, 2]) + abs(b[1, 2]) <= 1e-15 * size:
                break
            for p in range(2):
                for q in range(p + 1, 3):
                    if b[p, q] == 0.0:
                        continue
                    theta = (b[q, q] - b[p, p]) / (2.0 * b[p, q])
                    t = (1.0 if theta >= 0 else -1.0) / (abs(theta) + np.sqrt(theta * theta + 1.0))
                    c = 1.0 / np.sqrt(t * t + 1.0)
                    s = t * c
                    for k in range(3):
                        x, y = b[k, p], b[k, q]
                        b[k, p], b[k, q] = c * x - s * y, s * x + c * y
                    for k in range(3):
                        x, y = b[p, k], b[q, k]
                        b[p, k], b[q, k] = c * x - s * y, s * x + c * y
                        x, y = v[k, p], v[k, q]
                        v[k, p], v[k, q] = c * x - s * y, s * x + c * y
        least = 0
        if b[1, 1] < b[least, least]:
            least = 1
        if b[2, 2] < b[least, least]:
            least = 2
        first, second = (least + 1) % 3, (least + 2) % 3  # cyclic, so that first x second = third, det V = 1
        if b[second, second] > b[first, first]:
            # the larger is normalised first; the order of the cross product is kept below
            strong, weak, sign = second, first, -1.0
        else:
            strong, weak, sign = first, second, 1.0
        _column(a, v, strong, u, 0)
        length = np.sqrt(u[0, 0] ** 2 + u[1, 0] ** 2 + u[2, 0] ** 2)
        if length <= 1e-150:
            for i in range(3):
                for j in range(3):  # assigning a slice would take eight seconds to compile
                    result[n, i, j] = 1.0 if i == j else 0.0
            continue
        for k in range(3):
            u[k, 0] /= length
        _column(a, v, weak, u, 1)
        along = u[0, 0] * u[0, 1] + u[1, 0] * u[1, 1] + u[2, 0] * u[2, 1]
        for k in range(3):
            u[k, 1] -= along * u[k, 0]
        short = np.sqrt(u[0, 1] ** 2 + u[1, 1] ** 2 + u[2, 1] ** 2)
        if short <= 1e-12 * length:  # a line: any perpendicular will do
            axis = 0
            for k in range(1, 3):
                if abs(u[k, 0]) < abs(u[axis, 0]):
                    axis = k
            for k in range(3):
                u[k, 1] = (1.0 if k == axis else 0.0) - u[axis, 0] * u[k, 0]
            short = np.sqrt(u[0, 1] ** 2 + u[1, 1] ** 2 + u[2, 1] ** 2)
        for k in range(3):
            u[k, 1] /= short
        for k in range(3):
            i, j = (k + 1) % 3, (k + 2) % 3
            u[k, 2] = sign * (u[i, 0] * u[j, 1] - u[j, 0] * u[i, 1])
        for i in range(3):
            for j in range(3):
                result[n, i, j] = u[i, 0] * v[j, strong] + u[i, 1] * v[j, weak] + u[i, 2] * v[j, least]
    return result


@cached_njit()
def _column(a: np.ndarray, v: np.ndarray, column: int, u: np.ndarray, place: int) -> None:
    """u[:, place] = a v[:, column]."""
    for k in range(3):
        u[k, place] = a[k, 0] * v[0, column] + a[k, 1] * v[1, column] + a[k, 2] * v[2, column]
