"""Stand-in of `bluetooth`, see README: only what advertises and serves; `fake_event` is what the radio reports."""

FLAG_READ = 2
FLAG_WRITE_NO_RESPONSE = 4
FLAG_WRITE = 8
FLAG_NOTIFY = 16
FLAG_INDICATE = 32

_UNSET = object()

fake_ble = None  # the one BLE object


class UUID:
    def __init__(self, _value):
        if isinstance(_value, str) and len(_value) != 36:
            raise ValueError("invalid UUID")
        self.fake_value = _value

    def __eq__(self, other):
        return isinstance(other, UUID) and self.fake_value == other.fake_value

    def __hash__(self):
        return hash(self.fake_value)


class BLE:
    _KEYS = ("mac", "addr_mode", "gap_name", "rxbuf", "mtu", "bond", "mitm", "io", "le_secure")

    def __new__(cls):
        global fake_ble
        if fake_ble is None:
            fake_ble = super().__new__(cls)
            fake_ble.fake_start()
        return fake_ble

    def __init__(self):
        pass

    def fake_start(self):
        self.fake_active = False
        self.fake_handler = None
        self.fake_config = {"mac": (0, b"\x24\x6f\x28\x01\x02\x05"), "gap_name": "MPY ESP32", "mtu": 256}
        self.fake_advertising = None
        self.fake_values = []  # of the attributes, by handle
        self.fake_notified = []

    def fake_event(self, number, data):
        return self.fake_handler(number, data) if self.fake_handler else None

    def active(self, _active=_UNSET):
        if _active is not _UNSET:
            self.fake_active = bool(_active)
            if not self.fake_active:
                self.fake_advertising = None
        return self.fake_active

    def _need(self):
        if not self.fake_active:
            raise OSError(19)

    def config(self, *args, **kwargs):
        for name in args or kwargs:
            if name not in self._KEYS:
                raise ValueError("unknown config param")
        if args:
            if kwargs or len(args) != 1:
                raise TypeError("either pos or kw args are allowed")
            return self.fake_config[args[0]]
        self.fake_config.update(kwargs)

    def irq(self, _handler):
        self.fake_handler = _handler

    def gap_advertise(self, _interval_us, _adv_data=None, *, resp_data=None, connectable=True):
        self._need()
        for data in (_adv_data, resp_data):
            if data is not None and len(data) > 31:
                raise OSError(22)
        self.fake_advertising = None if _interval_us is None else (_interval_us, _adv_data, resp_data, connectable)

    def gap_disconnect(self, _conn_handle):
        self._need()
        return True

    def gatts_register_services(self, _services_definition):
        self._need()
        handles = []
        self.fake_values = [b""]
        for _, characteristics in _services_definition:
            row = []
            for characteristic in characteristics:
                row.append(len(self.fake_values))
                self.fake_values.append(b"")
                for _ in characteristic[2] if len(characteristic) > 2 else ():
                    row.append(len(self.fake_values))
                    self.fake_values.append(b"")
            handles.append(tuple(row))
        return tuple(handles)

    def gatts_read(self, _value_handle):
        self._need()
        return self.fake_values[_value_handle]

    def gatts_write(self, _value_handle, _data, _send_update=False):
        self._need()
        self.fake_values[_value_handle] = bytes(_data)
        if _send_update:
            self.fake_notified.append((None, _value_handle, bytes(_data)))

    def gatts_notify(self, _conn_handle, _value_handle, _data=None):
        self._need()
        self.fake_notified.append((_conn_handle, _value_handle, _data))

    def gatts_set_buffer(self, _conn_handle, _len, _append=False):
        self._need()
