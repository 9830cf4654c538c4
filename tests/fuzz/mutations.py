"""Ways to damage a file: its bytes, its JSON or TOML values, and the JSON headers of .glb and .safetensors."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

Random = np.random.Generator

HOSTILE_WORDS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
HOSTILE_JSON = (
    *("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e308", "1e-320", "-1", "-0.0", "0", "1", "0.5", "7"),
    *("255", "65536", "1000000", "2147483648", "4294967296", "9223372036854775807", "9223372036854775808"),
    *("1" + "0" * 40, "9" * 5000, "true", "false", "null", '""', '"x"', '"' + "y" * 3000 + '"', r'"\ud800"'),
    *(r'"\u0000"', '"../../../etc/passwd"', '"/etc/passwd"', '"."', '"data:;base64,AAAA"', '"NaN"', "[]", "{}"),
    *("[null]", "[[]]", "[1, 2, 3]", "[NaN, NaN, NaN]", '{"a": {"b": []}}', "[" * 100_000, "[" * 500 + "]" * 500),
)
HOSTILE_TOML = (
    *("nan", "inf", "-inf", "1e400", "-1", "0", "0.5", "999999999999", "1" + "0" * 40, "true", '""', '"x"', "[]"),
    *("[1, 2]", "{}", "{a = 1}", "[" * 5000, '"' + "y" * 3000 + '"', "2020-01-01", "1e308", '"\\u0000"', "'../..'"),
)


def damaged(name: str, data: bytes, rng: Random) -> bytes:
    """Damages a file in a way that suits its name."""
    structured: dict[str, Callable[[bytes, Random], bytes]] = {
        ".json": damaged_json,
        ".gltf": damaged_json,
        ".toml": damaged_toml,
        ".glb": damaged_glb,
        ".safetensors": damaged_safetensors,
    }
    change = structured.get(name[name.rfind(".") :])
    if change is None or rng.random() < 0.25:
        return damaged_bytes(data, rng)
    return change(data, rng)


def damaged_bytes(data: bytes, rng: Random) -> bytes:
    """One to three of: bit flips, a cut, a block moved, doubled, zeroed or taken out, a hostile number written."""
    for _ in range(_few(rng)):
        data = BYTE_CHANGES[int(rng.integers(len(BYTE_CHANGES)))](data, rng)
    return data


def _few(rng: Random) -> int:
    """Mostly one: a file damaged in one place gets furthest."""
    return 1 if rng.random() < 0.7 else int(rng.integers(2, 4))


def _flip_bits(data: bytes, rng: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(int(2 ** rng.uniform(0, 4)) if data else 0):
        changed[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _cut(data: bytes, rng: Random) -> bytes:
    return data[: int(rng.integers(len(data) + 1))]


def _block(data: bytes, rng: Random) -> tuple[int, int]:
    start = int(rng.integers(len(data) + 1))
    return start, min(len(data), start + int(2 ** rng.uniform(0, 12)))


def _double(data: bytes, rng: Random) -> bytes:
    start, end = _block(data, rng)
    return data[:end] + data[start:end] * int(rng.integers(1, 4)) + data[end:]


def _take_out(data: bytes, rng: Random) -> bytes:
    start, end = _block(data, rng)
    return data[:start] + data[end:]


def _move(data: bytes, rng: Random) -> bytes:
    start, end = _block(data, rng)
    block, rest = data[start:end], data[:start] + data[end:]
    place = int(rng.integers(len(rest) + 1))
    return rest[:place] + block + rest[place:]


def _zero(data: bytes, rng: Random) -> bytes:
    start, end = _block(data, rng)
    return data[:start] + bytes(end - start) + data[end:]


def _write_number(data: bytes, rng: Random) -> bytes:
    """A hostile integer of 1, 2, 4 or 8 bytes; mostly near the beginning, where headers are."""
    size = (1, 2, 4, 8)[int(rng.integers(4))]
    word = HOSTILE_WORDS[int(rng.integers(len(HOSTILE_WORDS)))] & (256**size - 1)
    reach = len(data) if rng.random() < 0.5 else min(len(data), 128)
    place = int(rng.integers(max(1, reach)))
    return data[:place] + word.to_bytes(size, "little" if rng.random() < 0.5 else "big") + data[place + size :]


BYTE_CHANGES = (_flip_bits, _cut, _double, _take_out, _move, _zero, _write_number, _write_number)


def damaged_json(data: bytes, rng: Random) -> bytes:
    """One to three values replaced by hostile ones, taken out, doubled, or exchanged with each other."""
    table = json.loads(data)
    marks: dict[str, str] = {}
    for _ in range(_few(rng)):
        places = _places(table)
        if not places:
            break
        holder, key = places[int(rng.integers(len(places)))]
        kind = rng.random()
        if kind < 0.65:
            mark = f"@{len(marks)}@"
            marks[mark] = HOSTILE_JSON[int(rng.integers(len(HOSTILE_JSON)))]
            holder[key] = mark
        elif kind < 0.8:
            del holder[key]
        elif kind < 0.9 and isinstance(holder, list):
            holder.insert(key, holder[key])
        else:
            other, place = places[int(rng.integers(len(places)))]
            holder[key] = json.loads(json.dumps(other[place]))  # a copy, which cannot make a circle
    text = json.dumps(table)
    for mark, value in marks.items():
        text = text.replace(f'"{mark}"', value)
    return text.encode("utf-8", "surrogatepass")


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (holder, key) below a JSON value; of long lists only the ends."""
    found: list[tuple[Any, Any]] = []
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for number, key in enumerate(keys):
        if 8 < number < len(keys) - 2:
            continue
        found.append((value, key))
        found += _places(value[key])
    return found


def damaged_toml(data: bytes, rng: Random) -> bytes:
    """The values of one to three lines replaced by hostile ones."""
    lines = data.decode().splitlines()
    for _ in range(_few(rng)):
        row = int(rng.integers(len(lines)))
        value = HOSTILE_TOML[int(rng.integers(len(HOSTILE_TOML)))]
        lines[row] = re.sub(r"=.*", lambda _, v=value: f"= {v}", lines[row])
    return "\n".join(lines).encode()


def damaged_glb(data: bytes, rng: Random) -> bytes:
    """The JSON chunk damaged and packed again with true lengths, or now and then false ones."""
    length = struct.unpack_from("<I", data, 12)[0]
    text = damaged_json(data[20 : 20 + length], rng)
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :] if rng.random() < 0.8 else damaged_bytes(data[20 + length :], rng)
    size = len(text) if rng.random() < 0.95 else HOSTILE_WORDS[int(rng.integers(len(HOSTILE_WORDS)))] % 2**32
    return data[:8] + struct.pack("<II", 20 + len(text) + len(rest), size) + data[16:20] + text + rest


def damaged_safetensors(data: bytes, rng: Random) -> bytes:
    """The header damaged and packed again with its true length, or now and then a false one."""
    length = struct.unpack_from("<Q", data)[0]
    text = damaged_json(data[8 : 8 + length], rng)
    size = len(text) if rng.random() < 0.9 else HOSTILE_WORDS[int(rng.integers(len(HOSTILE_WORDS)))]
    return struct.pack("<Q", size) + text + data[8 + length :]
