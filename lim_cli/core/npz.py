"""Reading .npz files of others: no pickles, and no memory for what a header merely declares."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path

import numpy as np

from lim_cli.core.errors import InputError

LARGEST_BYTES = 8 << 30


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file.

    Raises:
        InputError: it is damaged, holds Python objects, or an array that declares more bytes than the file has for it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > LARGEST_BYTES:
                raise InputError(f"{path} declares more than {LARGEST_BYTES >> 30} GiB of arrays; make it smaller.")
            return {
                member.filename.removesuffix(".npy"): _array(path, archive, member) for member in archive.infolist()
            }
    except (
        OSError,
        ValueError,
        KeyError,
        EOFError,
        NotImplementedError,  # zipfile, of a compression it does not know
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise InputError(f"{path} is no readable .npz file ({error}); make it again.") from error


def _array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(stream)
        if dtype.hasobject or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > member.file_size:
            raise InputError(f"{path}: '{member.filename}' declares {dtype} {list(shape)}, which it does not hold.")
    with archive.open(member) as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
