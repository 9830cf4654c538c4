from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lim_cli.core.errors import InputError
from lim_cli.core.npz import read_npz


def test_round_trip(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(7), "c": np.array(["x", "yz"])}
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    found = read_npz(tmp_path / "a.npz")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("shape", [(10**14,), (2**40, 2**40), (9,)])
def test_an_array_that_declares_more_than_it_holds(tmp_path: Path, shape: tuple[int, ...]) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", header.getvalue() + b"\0" * 64)
    with pytest.raises(InputError, match=r"a\.npz"):
        read_npz(tmp_path / "a.npz")


def test_python_objects_and_damage(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="declares object"):
        read_npz(tmp_path / "objects.npz")
    np.savez_compressed(tmp_path / "cut.npz", a=np.random.default_rng(0).random(100))
    data = (tmp_path / "cut.npz").read_bytes()
    for wrong in (b"", b"PK", data[:-80], data[:300] + b"\xff" * 50 + data[350:]):
        (tmp_path / "cut.npz").write_bytes(wrong)
        with pytest.raises(InputError, match=r"cut\.npz"):
            read_npz(tmp_path / "cut.npz")
