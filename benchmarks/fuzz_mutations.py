"""How a valid file becomes a hostile one: of bytes, of texts, of JSON and TOML, and of what archives and pickles hold.

Everything is drawn from the `Random` that a function is given, so that a case can be made again from its number.
"""

from __future__ import annotations

import copy
import datetime as dt
import io
import json
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any, Literal

Mutation = Callable[[Random, bytes], bytes]

DEEP = "[" * 5000  # five times deeper than Python recurses
TEXTS = (
    "", " ", "\0", "a" * 5000, "../../../etc/passwd", "/etc/passwd", "..", "\ud800", "\u202e", "\x1b[31mred\x1b[0m",
    "<script>alert(1)</script>", "| a | `b` |", "]]>", "{{7*7}}", "%s%n", "$(touch harm)", "\r\n", "\u2028", "é" * 3000,
    "NaN", "1e999", "-1", "passed", "digits", "qnnpack", "lite", "2.12.1", ">=2.13", "==1.*.*", "1!2", "[x]", "(" * 500,
)  # fmt: skip
NUMBERS = (0, -1, 1, 2**31, 2**63, 2**64, 10**400, -(10**30), 0.5, -0.0, 1e308, -1e308, 5e-324, True, False)
RAW = (
    DEEP, '{"a":' * 5000, "NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, '"\\ud800"', '"\\u0000"', "nul", "[[1]",
    '{"a":1,"a":2}', "1979-02-30", "0x" + "f" * 5000, "'''", '"""', "{a=1,a=2}", "a" + ".a" * 5000, "07:99:00", "+nan",
)  # fmt: skip
TOKENS = (
    b"\0", b"\xff" * 8, b"\x7f\xff\xff\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"PK\x03\x04",
    b"PK\x05\x06", b"PK\x01\x02", b"\x80\x02",
    b"cos\nsystem\n", b"\x93NUMPY", b"ustar", b"IHDR", b"IDAT", b"iCCP", b"\xff\xda",
    b"\xfd7zXZ\0", b"\n", b"\r\n", b'"', b"'", b"[[", b"]]", b"=", b"#", b"--hash=sha256:", b"-r x", b" ; ", b"@ file:///",
    *(DEEP.encode()[:length] for length in (100, 5000)),
)  # fmt: skip


def in_bytes(rng: Random, data: bytes) -> bytes:
    """Flip, cut, repeat, remove, overwrite or insert, once to a few times."""
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        data = rng.choice(_IN_BYTES)(rng, data)
    return data


def _flip(rng: Random, data: bytes) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def _byte(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes([rng.choice((0, 1, 0x20, 0x7F, 0x80, 0xFF, rng.randrange(256)))]) + data[at + 1 :]


def _cut(rng: Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)] if rng.random() < 0.3 else data


def _piece(rng: Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 4, 16, 64, 1000)))


def _repeat(rng: Random, data: bytes) -> bytes:
    start, stop = _piece(rng, data)
    return data[:stop] + data[start:stop] * rng.choice((1, 2, 100)) + data[stop:]


def _remove(rng: Random, data: bytes) -> bytes:
    start, stop = _piece(rng, data)
    return data[:start] + data[stop:]


def _number(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    value = rng.choice((0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1))
    size = rng.choice((1, 2, 4, 8))
    order: Literal["little", "big"] = rng.choice(("little", "big"))
    return data[:at] + (value % (1 << 8 * size)).to_bytes(size, order) + data[at + size :]


def _token(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(TOKENS) + data[at:]


_IN_BYTES: tuple[Mutation, ...] = (_flip, _byte, _cut, _repeat, _remove, _number, _token)


def in_text(rng: Random, data: bytes) -> bytes:
    """Repeat, remove, swap or garble lines and words."""
    lines = data.decode(errors="replace").splitlines(keepends=True) or [""]
    for _ in range(rng.choice((1, 1, 3))):
        at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        kind = rng.randrange(5)
        if kind == 0:
            lines.insert(at, lines[other])
        elif kind == 1:
            lines[at] = ""
        elif kind == 2:
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == 3:
            lines[at] = lines[at].replace(rng.choice(lines[at].split() or [" "]), rng.choice((*TEXTS, *RAW)))
        else:
            lines[at] = rng.choice((*TEXTS, *RAW)) + lines[at]
    return "".join(lines).encode(errors="surrogatepass")


# ---- trees: what JSON and TOML hold


class Raw:
    """A piece of text that is put into the file as it is, where a value would stand."""

    def __init__(self, text: str) -> None:
        """Keep the text."""
        self.text = text


def in_tree(rng: Random, tree: Any) -> Any:
    """Replace, remove, repeat or rename values at a few places of a tree of dictionaries and lists."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        found = list(places(tree))
        if not found:
            return _strange(rng)
        holder, key = rng.choice(found)
        kind = rng.randrange(8)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, list):
            holder.extend([holder[key]] * rng.choice((1, 2, 50)))
        elif kind == 1:
            holder[rng.choice((str(key) + "x", *TEXTS))] = holder.pop(key)
        elif kind == 2:
            other, name = rng.choice(found)
            holder[key] = copy.deepcopy(other[name]) if name in _keys(other) else None
        elif kind < 5 and isinstance(holder[key], str):
            text = holder[key]
            holder[key] = rng.choice((text + rng.choice(TEXTS), rng.choice(TEXTS), text.upper(), text[:-1]))
        else:
            holder[key] = _strange(rng)
    return tree


def places(tree: Any) -> Any:
    """Yield every place of a tree: what holds it, and its key."""
    for key in _keys(tree):
        yield tree, key
        yield from places(tree[key])


def _keys(tree: Any) -> Any:
    return list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()


def _strange(rng: Random) -> Any:
    return rng.choice(
        (
            None,
            rng.choice(NUMBERS),
            rng.choice(TEXTS),
            [],
            {},
            [rng.choice(NUMBERS)] * 3,
            {rng.choice(TEXTS): rng.choice(NUMBERS)},
            Raw(rng.choice(RAW)),
        )
    )


def json_file(rng: Random, tree: Any) -> bytes:
    """Return a hostile version of a JSON file."""
    kind = rng.random()
    if kind < 0.05:
        return rng.choice((*RAW, *TEXTS)).encode(errors="surrogatepass")
    changed = in_tree(rng, tree) if kind < 0.8 else tree
    data = json_text(changed).encode(errors="surrogatepass")
    return data if kind < 0.7 else rng.choice((in_bytes, in_text))(rng, data)


def json_text(value: Any) -> str:
    """Return it as JSON, raw pieces as they are."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{json_text(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    return _whole(value) if isinstance(value, int) else json.dumps(value)


def _whole(value: int) -> str:
    return json.dumps(value) if abs(value) < 2**64 else f"{value:d}"


def toml_file(rng: Random, tree: Any) -> bytes:
    """Return a hostile version of a TOML file."""
    kind = rng.random()
    if kind < 0.05:
        return f"a = {rng.choice((*RAW, *TEXTS))}".encode(errors="surrogatepass")
    changed = in_tree(rng, tree) if kind < 0.85 else tree
    data = toml_text(changed).encode(errors="surrogatepass")
    return data if kind < 0.75 else rng.choice((in_bytes, in_text))(rng, data)


def toml_text(tree: Any) -> str:
    """Return it as TOML: arrays of tables at the top, everything else in one line."""
    if not isinstance(tree, dict):
        return f"x = {_toml(tree)}\n"
    lines = [f"{_key(key)} = {_toml(value)}" for key, value in tree.items() if not _is_tables(value)]
    for key, value in tree.items():
        for row in value if _is_tables(value) else ():
            lines += [f"[[{_key(key)}]]", *(f"{_key(name)} = {_toml(each)}" for name, each in row.items())]
    return "\n".join(lines) + "\n"


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _key(key: Any) -> str:
    return key if isinstance(key, str) and key.isidentifier() and key.isascii() else json.dumps(str(key))


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    return '""' if value is None else json_text(value)


# ---- archives


def zip_entries(data: bytes) -> list[tuple[str, bytes]]:
    """Return names and contents of a sound archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(entry.filename, archive.read(entry)) for entry in archive.infolist()]


def zip_file(rng: Random, entries: list[tuple[str, bytes]], content: Mutation) -> bytes:
    """Pack the entries anew, one or two of them changed, and perhaps spoil the archive itself."""
    entries = list(entries)
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(entries))
        name, data = entries[at]
        kind = rng.randrange(10)
        if kind < 5:
            entries[at] = name, content(rng, data)
        elif kind == 5:
            entries.pop(at) if len(entries) > 1 else None
        elif kind == 6:
            entries.append((name, content(rng, data)))
        elif kind == 7:
            entries[at] = rng.choice(TEXTS).replace("\ud800", "?")[:1000] or "x", data
        elif kind == 8:
            other = rng.choice(("/constants.pkl", "/data.pkl", "/x", "/data/9"))
            entries.append((name.rpartition("/")[0] + other, data))
        else:
            entries[at] = name, data + ZEROS
    method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method, compresslevel=1) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    whole = target.getvalue()
    return in_bytes(rng, whole) if rng.random() < 0.3 else whole


ZEROS = bytes(20_000)
_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE,
          tarfile.CHRTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE,
          tarfile.XGLTYPE, b"?")  # fmt: skip


def tar_file(rng: Random, members: list[tuple[str, bytes]]) -> bytes:
    """Pack the members anew, some of them changed: names, types, links, sizes, headers, and the compression around."""
    members = [*members, *rng.choices(members, k=rng.choice((0, 0, 1)))]
    raw = io.BytesIO()
    for name, data in members:
        raw.write(_member(rng, name, data) if rng.random() < 0.4 else _plain(name, data))
    raw.write(bytes(1024))
    tar = raw.getvalue()
    if rng.random() < 0.2:
        tar = in_bytes(rng, tar)
    whole = rng.choice((_xz, _xz, _xz, bytes))(tar)
    return in_bytes(rng, whole) if rng.random() < 0.2 else whole


def _xz(data: bytes) -> bytes:
    return lzma.compress(data, preset=0)


def _plain(name: str, data: bytes) -> bytes:
    return _header(name, len(data), tarfile.REGTYPE, "") + _padded(data)


def _member(rng: Random, name: str, data: bytes) -> bytes:
    name = rng.choice((name, name, *TEXTS))
    size = rng.choice((len(data), len(data), 0, len(data) + 1, 2**33, 2**62))
    kind = rng.choice((tarfile.REGTYPE, *_TYPES))
    if rng.random() < 0.2:  # headers before the member, one within the other
        data = data[:50] if rng.random() < 0.5 else rng.choice(_PAX)
        times = rng.choice((1, 3, 2000))
        return (_header("x", len(data), rng.choice((b"x", b"g", b"L", b"K")), "") + _padded(data)) * times
    return _header(name, size, kind, rng.choice(TEXTS)) + _padded(data)


_PAX = (
    b"30 path=../../../etc/passwd\n\n", b"22 size=999999999999\n", b"11 size=-1\n", b"9 size=x\n", b"999 path=a\n",
    b"0 path=a\n", b"26 GNU.sparse.major=1\n", b"25 GNU.sparse.map=9,9,-\n", b"20 hdrcharset=BINARY\n", b"x" * 512,
)  # fmt: skip


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def _header(name: str, size: int, kind: bytes, link: str) -> bytes:
    info = tarfile.TarInfo(name.replace("\ud800", "?")[:90])
    info.size, info.type, info.linkname = size, kind, link.replace("\ud800", "?")[:90]
    return info.tobuf(tarfile.GNU_FORMAT, errors="replace")[-512:]


# ---- pictures, arrays, pickles, safetensors


def png_file(rng: Random, data: bytes) -> bytes:
    """Change chunks of a PNG and give them their checksums again."""
    chunks, at = [], 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    at = rng.randrange(len(chunks))
    kind, body = chunks[at]
    choice = rng.randrange(5)
    if choice == 0:
        sides = [rng.choice((0, 1, 16, 5000, 8000, 2**31 - 1, 2**32 - 1)) for _ in range(2)]
        depth, colour, interlaced = rng.choice((1, 8, 16)), rng.choice((0, 2, 3, 4, 6, 9)), rng.choice((0, 1))
        chunks[0] = b"IHDR", struct.pack(">IIBBBBB", *sides, depth, colour, 0, 0, interlaced)
    elif choice == 1:
        chunks[at] = kind, in_bytes(rng, body)
    elif choice == 2:
        chunks.insert(at, chunks[rng.randrange(len(chunks))])
    elif choice == 3:
        names = (b"iCCP", b"zTXt", b"tRNS", b"PLTE", b"eXIf", b"gAMA", b"acTL", b"fcTL", b"fdAT", b"sBIT")
        chunks.insert(1, (rng.choice(names), rng.choice((b"", b"x\0\0" + zlib.compress(ZEROS), body[:50], b"\0" * 26))))
    else:
        chunks[at] = kind, zlib.compress(ZEROS)
    return data[:8] + b"".join(_chunk(*each) for each in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


_DTYPES = (
    "'<f4'", "'|O'", "'>f8'", "'<U9'", "'|V0'", "'M8[D]'", "[('a','<f4'),('b','|O')]", "'<f3'", "None", "'<f4,<f4'",
)  # fmt: skip
_SHAPES = (
    "(2, 1, 2, 2)", "()", "(0,)", "(-1,)", "(10**12,)", "(1000000000000,)", "(2,) * 99", "(True,)", "'x'",
    "(2**40,2**40)", "((" * 90, "[2]", "(1" + "0" * 4400 + ",)",
)  # fmt: skip


def npy_file(rng: Random, data: bytes) -> bytes:
    """Change the header of a NumPy array, or its bytes."""
    if rng.random() < 0.4 or data[:6] != b"\x93NUMPY":
        return in_bytes(rng, data)
    header = f"{{'descr': {rng.choice(_DTYPES)}, 'fortran_order': {rng.choice(('False', 'True', '0'))}, "
    header += f"'shape': {rng.choice(_SHAPES)}, }}"
    text = rng.choice((header, header, header + "L", "{" * 200, rng.choice(RAW)[:9000], '{"a": 1L, ')).encode()
    version = rng.choice((1, 1, 2, 3, 9))
    length = struct.pack("<H" if version == 1 else "<I", len(text) + 1)
    body = data[128:] if rng.random() < 0.5 else ZEROS
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + b"\n" + body


SNIPPETS = (
    b"cos\nsystem\nX\x0a\0\0\0touch harm\x85R", b"cbuiltins\nbytearray\n\x8a\x05\0\0\0\0\x02\x85R",
    b"cbuiltins\neval\n",
    b"ctorch\nload\n", b"c__builtin__\nset\n", b"ccollections\nOrderedDict\n)R", b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"X\x01\0\0\0a", b"K\x01", b"J\xff\xff\xff\x7f", b"\x8a\x08" + b"\xff" * 8, b"N", b"]", b"}", b")", b"(", b"t",
    b"R", b"0",
    b"\x85", b"\x86", b"s", b"u", b"b", b"Q", b"q\0h\0h\0\x86q\x01h\x01h\x01\x86q\x02h\x02h\x02\x86", b"\x88",
    b"G" + b"\x7f" * 8,
    b")" + b"".join(b"q%ch%ch%c\x86" % (n, n, n) for n in range(100, 160)), b"ctorch\nSize\n",
    b"ctorch._utils\n_rebuild_qtensor\n",
    b"ctorch._tensor\n_rebuild_from_type_v2\n", b"ctorch\nTensor\n", b"ctorch\ndevice\n", b"c_codecs\nencode\n",
)  # fmt: skip


def pickle_bytes(rng: Random, data: bytes) -> bytes:
    """Change a pickle: its bytes, or pieces of program put in."""
    if rng.random() < 0.5:
        return in_bytes(rng, data)
    for _ in range(rng.choice((1, 2, 4))):
        at = rng.choice((len(data) - 1, max(0, len(data) - 2), rng.randrange(len(data) + 1)))
        data = data[:at] + rng.choice(SNIPPETS) + data[at:]
    return data


def safetensors_file(rng: Random, data: bytes) -> bytes:
    """Change the header of a safetensors file, or its bytes."""
    if rng.random() < 0.3:
        return in_bytes(rng, data)
    length = int.from_bytes(data[:8], "little")
    header = json_file(rng, json.loads(data[8 : 8 + length]))
    stated = len(header) if rng.random() < 0.9 else rng.choice((0, 1, 2**40, 2**64 - 1, len(header) + 1))
    return stated.to_bytes(8, "little") + header + data[8 + length :]
