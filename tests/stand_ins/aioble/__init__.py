"""Stand-in of aioble 0.6.2 (micropython-lib), see ../README: advertising and serving, with aioble's own names and arguments.

Written from its interface, on the stand-in of `bluetooth`. What steers it begins with `fake`: `fake_connect()` is a telephone
that connects (only while somebody advertises), `fake_read(uuid)` and `fake_write(uuid, data)` are what it then does.
"""

import asyncio

import bluetooth

ADDR_PUBLIC = 0
ADDR_RANDOM = 1

_READ, _WRITE_NO_RESPONSE, _WRITE, _NOTIFY, _INDICATE, _CAPTURE = 2, 4, 8, 16, 32, 0x10000
_WRITE_ENCRYPTED = 0x1000
_BUFFER = 20  # bytes of a value that nobody gave more
_PAYLOAD_MAX = 31

fake_services = []
fake_advertisement = None  # the arguments of `advertise` while it runs
fake_stops = 0
_waiting = None  # Event of the one that advertises
_incoming = None


class DeviceDisconnectedError(Exception):
    pass


class GattError(Exception):
    pass


def _ble():
    return bluetooth.BLE()


def ensure_active():
    if not _ble().active():
        _ble().active(True)


def config(*args, **kwargs):
    ensure_active()
    return _ble().config(*args, **kwargs)


def stop():
    global fake_stops, fake_advertisement
    _ble().active(False)
    fake_stops += 1
    fake_advertisement = None
    fake_services.clear()


class Service:
    def __init__(self, uuid):
        self.uuid = uuid
        self.characteristics = []


class Characteristic:
    def __init__(
        self, service, uuid, read=False, write=False, write_no_response=False, notify=False, indicate=False,
        initial=None, capture=False,
    ):  # fmt: skip
        if not isinstance(uuid, bluetooth.UUID):
            raise TypeError("uuid")
        service.characteristics.append(self)
        self.uuid = uuid
        self.flags = read * _READ | write * _WRITE | write_no_response * _WRITE_NO_RESPONSE | notify * _NOTIFY
        self.flags |= indicate * _INDICATE | (_CAPTURE if capture and (write or write_no_response) else 0)
        self.descriptors = []
        self._initial = initial
        self._value_handle = None
        self._writable = write or write_no_response
        self._event = asyncio.Event()
        self._data = None
        self._max_len = _BUFFER

    def _register(self, handle):
        self._value_handle = handle
        if self._initial is not None:
            self.write(self._initial)

    def read(self):
        return (self._initial or b"") if self._value_handle is None else _ble().gatts_read(self._value_handle)

    def write(self, data, send_update=False):
        if self._value_handle is None:
            self._initial = data
        else:
            _ble().gatts_write(self._value_handle, data, send_update)

    async def written(self, timeout_ms=None):
        """The connection, or (connection, data) with `capture`. Raises asyncio.TimeoutError."""
        if not self._writable:
            return None
        if timeout_ms is None:
            await self._event.wait()
        else:
            await asyncio.wait_for_ms(self._event.wait(), timeout_ms)
        self._event.clear()
        return self._data

    def notify(self, connection, data=None):
        if not self.flags & _NOTIFY:
            raise ValueError("Not supported")
        _ble().gatts_notify(connection._conn_handle, self._value_handle, data)


class BufferedCharacteristic(Characteristic):
    def __init__(self, *args, max_len=20, append=False, **kwargs):
        super().__init__(*args, **kwargs)
        self._max_len = max_len
        self._append = append

    def _register(self, handle):
        super()._register(handle)
        _ble().gatts_set_buffer(handle, self._max_len, self._append)


def register_services(*services):
    ensure_active()
    rows = tuple((s.uuid, tuple((c.uuid, c.flags) for c in s.characteristics)) for s in services)
    for service, handles in zip(services, _ble().gatts_register_services(rows)):
        for characteristic, handle in zip(service.characteristics, handles):
            characteristic._register(handle)
    fake_services[:] = services


class Connection:
    """aioble's DeviceConnection."""

    def __init__(self):
        self.encrypted = False
        self._conn_handle = 1
        self._ended = asyncio.Event()

    def is_connected(self):
        return self._conn_handle is not None

    async def disconnected(self, timeout_ms=None, disconnect=False):
        if not self.is_connected():
            return
        if disconnect:
            _ble().gap_disconnect(self._conn_handle)
            self.fake_disconnect()
        await self._ended.wait()

    async def disconnect(self, timeout_ms=2000):
        await self.disconnected(timeout_ms, disconnect=True)

    def fake_disconnect(self):
        self._conn_handle = None
        self._ended.set()


def _size(value):
    return 2 if isinstance(value, int) else 16


async def advertise(
    interval_us, adv_data=None, resp_data=None, connectable=True, limited_disc=False, br_edr=False, name=None,
    services=None, appearance=0, manufacturer=None, timeout_ms=None,
):  # fmt: skip
    """The connection; None when it is cancelled: aioble swallows that."""
    global fake_advertisement, _waiting, _incoming
    ensure_active()
    fields = [2 + _size(uuid.fake_value) for uuid in services or ()] + ([2 + len(name)] if name else [])
    used = [3, 0]  # flags; response
    for size in fields:
        at = 0 if used[0] + size < _PAYLOAD_MAX else 1
        used[at] += size
        if used[at] >= _PAYLOAD_MAX:
            raise ValueError("Advertising payload too long")
    _ble().gap_advertise(interval_us, b"", connectable=connectable)
    fake_advertisement = {"name": name, "services": services, "interval_us": interval_us}
    _waiting = asyncio.Event()
    try:
        if timeout_ms is None:
            await _waiting.wait()
        else:
            await asyncio.wait_for_ms(_waiting.wait(), timeout_ms)
        return _incoming
    except asyncio.CancelledError:
        if _ble().active():
            _ble().gap_advertise(None)
        return None
    finally:
        fake_advertisement = None


# -- the telephone -------------------------------------------------------------------------------------------------------


def fake_connect():
    """A telephone connects; gives the connection."""
    global _incoming
    if fake_advertisement is None:
        raise OSError("nobody advertises")
    _incoming = Connection()
    _waiting.set()
    return _incoming


def _find(uuid):
    uuid = bluetooth.UUID(uuid)
    for service in fake_services:
        for characteristic in service.characteristics:
            if characteristic.uuid == uuid:
                return characteristic
    raise GattError("no attribute")


def fake_read(uuid):
    characteristic = _find(uuid)
    if not characteristic.flags & _READ:
        raise GattError("read not permitted")
    return characteristic.read()


def fake_write(uuid, data, encrypted=True):
    """What does not fit the buffer is cut off, as the stack does."""
    characteristic = _find(uuid)
    if not characteristic.flags & (_WRITE | _WRITE_NO_RESPONSE):
        raise GattError("write not permitted")
    if characteristic.flags & _WRITE_ENCRYPTED and not encrypted:
        raise GattError("insufficient encryption")
    characteristic.write(bytes(data)[: characteristic._max_len])
    characteristic._data = (_incoming, bytes(data)) if characteristic.flags & _CAPTURE else _incoming
    characteristic._event.set()


def fake_notified(uuid):
    """The values that were notified of this characteristic, oldest first."""
    handle = _find(uuid)._value_handle
    return [value for _, at, value in _ble().fake_notified if at == handle]
