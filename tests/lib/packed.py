"""Messages between our processes as bytes: msgpack by hand, for peers that send what no program of ours would."""
import struct


def packed(value):
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    if isinstance(value, str):
        return b"\xdb" + struct.pack(">I", len(value.encode())) + value.encode()
    return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(packed, value))


def scalar(data, at):
    """A msgpack value that the hub sends, and where the next begins."""
    first = data[at]
    if first <= 0x7f:
        return first, at + 1
    if first in (0xc2, 0xc3):
        return first == 0xc3, at + 1
    if 0xcc <= first <= 0xcf:
        n = 1 << (first - 0xcc)
        return int.from_bytes(data[at + 1:at + 1 + n], "big"), at + 1 + n
    if 0xa0 <= first <= 0xbf:
        n, begin = first & 0x1f, at + 1
    else:
        width = 1 << (first - (0xd9 if first >= 0xd9 else 0xc4))
        n, begin = int.from_bytes(data[at + 1:at + 1 + width], "big"), at + 1 + width
    return data[begin:begin + n], begin + n


def messages(data):
    """The messages of a frame, each the list of its fields."""
    found, at = [], 0
    while at < len(data):
        if data[at] == 0xdc:
            count, at = int.from_bytes(data[at + 1:at + 3], "big"), at + 3
        else:
            count, at = data[at] & 0x0f, at + 1
        found.append([])
        for _ in range(count):
            value, at = scalar(data, at)
            found[-1].append(value)
    return found
