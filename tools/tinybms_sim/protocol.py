"""The UART side of a TinyBMS: framing, CRC, every command (tinybms_uart facts 3 and 4). Pure: bytes in, bytes out.

`Framer.feed(bytes)` gives the complete requests; `answer(frame, bms)` gives the reply. `bms` has `refresh()`,
`word(address)`, `write(pairs)`, `limits(option, count)`, `command(option)`, `event_list(newest)`; all replies are
made of its registers, so a register dump answers every command as the model does.
"""

import struct

START = 0xAA
NACK_COMMAND, NACK_CRC = 0, 1
_MODBUS_READ_MAX, _MODBUS_WRITE_MAX = 127, 100
_BLOCK_MAX, _SINGLE_MAX = 31, 15  # what fits in one packet of 0x07 and 0x09; more than one was never seen
_EMPTY = {0x11, 0x12, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1E, 0x1F, 0x20}
_VALUES = {0x14: (36, 37), 0x15: (38, 39), 0x16: (41,), 0x17: (40,), 0x18: (50,), 0x19: (32, 33), 0x1A: (46, 47)}


def _make_table():
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ 0xA001 if n & 1 else n >> 1
        yield n


_TABLE = tuple(_make_table())


def crc16(data):
    """CRC-16/MODBUS."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc


def seal(data):
    """The frame with its CRC, least significant byte first."""
    return bytes(data) + struct.pack("<H", crc16(data))


def valid(frame):
    return len(frame) >= 4 and crc16(frame[:-2]) == struct.unpack("<H", frame[-2:])[0]


def nack(command, error=NACK_COMMAND):
    return seal((START, 0, command, error))


def _length(data):
    """Length of the request that begins `data`, 0 when more bytes are needed to tell."""
    command = data[1]
    if command in _EMPTY:
        return 4
    if command == 0x02:
        return 5
    if command == 0x03:
        return 8
    if command in (0x07, 0x1D):
        return 7
    if command in (0x09, 0x0B, 0x0D):
        return 5 + (data[2] if command == 0x09 else data[2] & 0x3F) if len(data) > 2 else 0
    if command == 0x10:
        return 9 + data[6] if len(data) > 6 else 0
    return 4  # unknown: refused with a NACK if its CRC holds


class Framer:
    """Cuts what comes in into requests. A frame that does not go on within `GAP_S` is given up (call `reset`)."""

    GAP_S = 0.1

    def __init__(self):
        self._data = bytearray()
        self.skipped = 0  # bytes that began no request

    def __len__(self):
        return len(self._data)

    def reset(self):
        self._data.clear()

    def feed(self, data):
        """Take `data`; a list of the requests complete by now, those with a bad CRC included."""
        self._data += data
        frames = []
        while True:
            start = self._data.find(START)
            drop = len(self._data) if start < 0 else start
            self.skipped += drop
            del self._data[:drop]
            if len(self._data) < 2:
                return frames
            length = _length(self._data)
            if not length or len(self._data) < length:
                return frames
            if self._data[1] == 0x0B and not valid(self._data[:length]):
                # its PL may or may not count the address (facts 16, line 21): take the other form where that one checks
                if len(self._data) < length + 2:
                    return frames
                if valid(self._data[: length + 2]):
                    length += 2
            frames.append(bytes(self._data[:length]))
            del self._data[:length]


def answer(frame, bms):
    """The reply (bytes) to one request."""
    command = frame[1]
    if not valid(frame):
        return nack(command, NACK_CRC)
    bms.refresh()
    reply = _COMMANDS.get(command, _refuse)(frame, bms)
    return nack(command) if reply is None else reply


def _refuse(frame, bms):
    return None


def _ack(command, done):
    return seal((START, 1, command)) if done else None


def _words(addresses, bms, order="<"):
    words = [bms.word(address) for address in addresses]
    return struct.pack(f"{order}{len(words)}H", *words)


def _data(command, payload):
    """A reply with its PL byte."""
    return seal(bytes((START, command, len(payload))) + payload)


def _reset_clear(frame, bms):
    return _ack(0x02, bms.command(frame[2]))


def _modbus_read(frame, bms):
    address, count = struct.unpack(">HH", frame[2:6])
    return _data(0x03, _words(range(address, address + count), bms, ">")) if 1 <= count <= _MODBUS_READ_MAX else None


def _read_block(frame, bms):
    count, address = struct.unpack("<BH", frame[2:5])
    return _data(0x07, _words(range(address, address + count), bms)) if 1 <= count <= _BLOCK_MAX else None


def _read_single(frame, bms):
    count = frame[2] // 2
    if frame[2] % 2 or not 1 <= count <= _SINGLE_MAX:
        return None
    addresses = struct.unpack(f"<{count}H", frame[3:-2])
    return _data(0x09, b"".join(struct.pack("<HH", a, bms.word(a)) for a in addresses))


def _write_block(frame, bms):
    words = struct.unpack(f"<{(len(frame) - 5) // 2}H", frame[3:-2]) if len(frame) % 2 else ()
    return _ack(0x0B, bms.write([(words[0] + n, word) for n, word in enumerate(words[1:])])) if len(words) > 1 else None


def _write_single(frame, bms):
    if frame[2] & 0x83 or not frame[2]:  # bit 7: the packet form that nobody has seen
        return None
    return _ack(0x0D, bms.write(list(struct.iter_unpack("<HH", frame[3:-2]))))


def _modbus_write(frame, bms):
    address, count, size = struct.unpack(">HHB", frame[2:7])
    if not 1 <= count <= _MODBUS_WRITE_MAX or size != 2 * count:
        return None
    words = struct.unpack(f">{count}H", frame[7:-2])
    return seal(frame[:6]) if bms.write([(address + n, word) for n, word in enumerate(words)]) else None


def _events(frame, bms):
    payload = _words((32, 33), bms)
    for stamp, code in bms.event_list(frame[1] == 0x11):
        payload += struct.pack("<I", stamp & 0xFFFFFF | code << 24)
    return _data(frame[1], payload)


def _value(frame, bms):
    return seal(frame[:2] + _words(_VALUES[frame[1]], bms))


def _temperatures(frame, bms):
    return _data(0x1B, _words((48, 42, 43), bms))


def _cells(frame, bms):
    count = min(bms.word(307), 16)
    return _data(0x1C, _words(range(16 - count, 16), bms))


def _settings(frame, bms):
    option, count = frame[2], frame[4]
    if option not in (1, 2, 3, 4) or frame[3] or not 1 <= count <= 100:
        return None
    return _data(0x1D, struct.pack(f"<{count}H", *bms.limits(option, count)))


def _version(frame, bms):
    long = _words(range(500, 504), bms)  # HW, changes | public, power | internal | bootloader, map
    payload = long[:3] + long[4:6]
    return _data(frame[1], payload + long[6:8] if frame[1] == 0x1F else payload)


def _speed(frame, bms):
    return seal(frame[:2] + _words((54, 55, 44), bms) + b"\0\0" + _words((34, 35), bms))


_COMMANDS = {
    0x02: _reset_clear, 0x03: _modbus_read, 0x07: _read_block, 0x09: _read_single, 0x0B: _write_block,
    0x0D: _write_single,
    0x10: _modbus_write, 0x11: _events, 0x12: _events, 0x1B: _temperatures, 0x1C: _cells, 0x1D: _settings,
    0x1E: _version,
    0x1F: _version, 0x20: _speed,
} | dict.fromkeys(_VALUES, _value)  # fmt: skip
