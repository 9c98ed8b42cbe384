"""Stand-in of `network` on an ESP32, see README: a radio whose surroundings the test makes.

`fake_networks[ssid] = FakeNetwork(password)`, `WLAN.connect`, then each `status()` or `isconnected()` is one step of time:
after `fake_steps` of them the connection stands or has failed. `fake_lose()` takes the network away from the station.
"""

STA_IF = 0
AP_IF = 1
STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
STAT_BEACON_TIMEOUT = 200
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
STAT_ASSOC_FAIL = 203
STAT_CONNECT_FAIL = 203
STAT_HANDSHAKE_TIMEOUT = 204
AUTH_OPEN = 0
AUTH_WEP = 1
AUTH_WPA_PSK = 2
AUTH_WPA2_PSK = 3
AUTH_WPA_WPA2_PSK = 4
AUTH_WPA3_PSK = 6
AUTH_WPA2_WPA3_PSK = 7

_UNSET = object()
_NAME_MAX = 32
_ZERO = "0.0.0.0"
_AP_CLIENTS_MAX = 10

fake_networks = {}
fake_stations = []  # MAC addresses at our access point
fake_steps = 2
fake_log = []  # ("connect", ssid), ("active", interface, on)...
_names = {}
_interfaces = {}


class FakeNetwork:
    """`password` "" is an open one; `address` None: there is no DHCP server, the station never gets an address."""

    def __init__(self, password="", address="192.168.1.50", channel=6, rssi=-60, hidden=False):
        self.password = password
        self.address = address
        self.channel = channel
        self.rssi = rssi
        self.hidden = hidden
        self.security = AUTH_WPA2_PSK if password else AUTH_OPEN
        self.bssid = b"\x02\x00\x00\x00\x00\x01"


def fake_reset():
    global fake_steps
    fake_steps = 2
    _names.update(hostname="mpy-esp32", country="XX", dns=_ZERO)
    for store in (fake_networks, fake_stations, fake_log, _interfaces):
        store.clear()


def hostname(_name=_UNSET):
    if _name is _UNSET:
        return _names["hostname"]
    if len(_name) > _NAME_MAX:
        raise ValueError("hostname")
    _names["hostname"] = _name


def country(_code=_UNSET):
    if _code is _UNSET:
        return _names["country"]
    if len(_code) != 2:
        raise ValueError("country")
    _names["country"] = _code


def ipconfig(*args, **kwargs):
    if len(args) == 1 and not kwargs and args[0] in ("dns", "prefer"):
        return _names["dns"] if args[0] == "dns" else 4
    if args or not kwargs:
        raise TypeError("ipconfig")
    for name in kwargs:
        if name not in ("dns", "prefer"):
            raise ValueError("unexpected key")
    if "dns" in kwargs:
        _names["dns"] = kwargs["dns"]


class WLAN:
    """One object for each interface, as on the board."""

    IF_STA = 0
    IF_AP = 1
    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2
    SEC_OPEN = 0
    SEC_WPA2 = 3
    SEC_WPA_WPA2 = 4
    SEC_WPA2_WPA3 = 7

    def __new__(cls, _interface_id=STA_IF):
        if _interface_id not in (STA_IF, AP_IF):
            raise ValueError("interface")
        if _interface_id not in _interfaces:
            self = _interfaces[_interface_id] = super().__new__(cls)
            self.fake_start(_interface_id)
        return _interfaces[_interface_id]

    def __init__(self, _interface_id=STA_IF):
        pass  # the object may have been in use for long

    def fake_start(self, interface):
        self.fake_interface = interface
        self.fake_active = False
        self._wanted = None  # (ssid, password) of connect
        self._steps = 0
        self._tries = 0
        self._got = None  # the FakeNetwork
        self._status = STAT_IDLE
        self._static = None
        self._config = {"pm": self.PM_PERFORMANCE, "txpower": 20.0, "protocol": 7}
        self._config["mac"] = b"\x24\x6f\x28\x01\x02" + bytes((3 + interface,))
        if interface == AP_IF:
            self._static = ["192.168.4.1", "255.255.255.0", "192.168.4.1", _ZERO]
            self._config.update(
                ssid="ESP_010204", channel=1, hidden=False, security=AUTH_OPEN, max_clients=4, password=""
            )
        else:
            self._config.update(ssid="", reconnects=-1, channel=0)

    # -- the surroundings

    def fake_lose(self, reason=STAT_BEACON_TIMEOUT):
        """The network is gone; with reconnects the station tries again from the next step."""
        self._got = None
        self._tries = 0
        self._status = reason
        if self._config["reconnects"] == 0:
            self._wanted = None
        else:
            self._steps = 0

    def _step(self):
        """One step of time for a station that wants to be connected."""
        if self.fake_interface != STA_IF or not self.fake_active or self._wanted is None or self._got:
            return
        self._steps += 1
        if self._steps < fake_steps:
            return
        ssid, password = self._wanted
        found = fake_networks.get(ssid)
        if found is None:
            self._fail(STAT_NO_AP_FOUND)
        elif found.password and found.password != password:
            self._fail(STAT_WRONG_PASSWORD)
        elif found.address is not None or self._static:
            self._got = found

    def _fail(self, reason):
        self._status = reason
        self._steps = 0
        self._tries += 1
        reconnects = self._config["reconnects"]
        if reconnects >= 0 and self._tries > reconnects:
            self._wanted = None

    # -- the board's

    def active(self, _is_active=_UNSET):
        if _is_active is _UNSET:
            return self.fake_active
        self.fake_active = bool(_is_active)
        fake_log.append(("active", self.fake_interface, self.fake_active))
        if not self.fake_active:
            self._wanted = self._got = None
            self._status = STAT_IDLE
            if self.fake_interface == AP_IF:
                fake_stations.clear()
        return self.fake_active

    def connect(self, _ssid=None, _password=None, *, bssid=None):
        if self.fake_interface != STA_IF:
            raise OSError("STA required")
        if not self.fake_active:
            raise OSError("Wifi Not Started")
        if self._wanted is not None and not self._got:
            raise OSError("Wifi Internal State Error")  # it is connecting already
        if _ssid is not None:
            self._config["ssid"] = _ssid
            self._password = _password or ""
        fake_log.append(("connect", self._config["ssid"]))
        self._wanted = (self._config["ssid"], self._password)
        self._got = None
        self._steps = self._tries = 0

    def disconnect(self):
        if not self.fake_active:
            raise OSError("Wifi Not Started")
        fake_log.append(("disconnect",))
        self._wanted = self._got = None
        self._status = STAT_IDLE

    def isconnected(self):
        if self.fake_interface == AP_IF:
            return bool(fake_stations)
        self._step()
        return self._got is not None

    def status(self, _param=_UNSET):
        if _param is _UNSET:
            if self.fake_interface == AP_IF:
                return None
            self._step()
            if self._got:
                return STAT_GOT_IP
            return STAT_CONNECTING if self._wanted is not None else self._status
        if _param == "rssi" and self.fake_interface == STA_IF:
            if not self._got:
                raise OSError("Wifi Not Connected")
            return self._got.rssi
        if _param == "stations" and self.fake_interface == AP_IF:
            return [(mac,) for mac in fake_stations]
        raise ValueError("unknown status param")

    def scan(self):
        if self.fake_interface != STA_IF:
            raise OSError("STA required")
        if not self.fake_active:
            raise OSError("STA must be active")
        if self._wanted is not None and not self._got:
            raise OSError("Wifi Internal State Error")
        return [
            (
                b"" if found.hidden else ssid.encode(),
                found.bssid,
                found.channel,
                found.rssi,
                found.security,
                found.hidden,
            )
            for ssid, found in fake_networks.items()
        ]

    def ifconfig(self, _ip_mask_gateway_dns=_UNSET):
        if _ip_mask_gateway_dns is _UNSET:
            if self._static and (self.fake_interface == AP_IF or self._got):
                return tuple(self._static)
            if self._got:
                address = self._got.address
                gateway = address.rsplit(".", 1)[0] + ".1"
                return (address, "255.255.255.0", gateway, gateway)
            return (_ZERO, _ZERO, _ZERO, _ZERO)
        if _ip_mask_gateway_dns == "dhcp":
            self._static = None
            return None
        if len(_ip_mask_gateway_dns) != 4 or not all(text.count(".") == 3 for text in _ip_mask_gateway_dns):
            raise ValueError("invalid arguments")
        self._static = list(_ip_mask_gateway_dns)

    def ipconfig(self, *args, **kwargs):
        address, mask, gateway, _ = self.ifconfig()
        if len(args) == 1 and not kwargs:
            values = {
                "addr4": (address, mask),
                "gw4": gateway,
                "dhcp4": self._static is None,
                "has_dhcp4": bool(self._got),
            }
            if args[0] not in values:
                raise ValueError("unexpected key")
            return values[args[0]]
        if args or not kwargs:
            raise TypeError("ipconfig")
        for name, value in kwargs.items():
            if name == "dhcp4":
                self._static = None if value else self._static or [_ZERO, _ZERO, _ZERO, _ZERO]
            elif name == "addr4":
                pair = value if isinstance(value, tuple) else (value.partition("/")[0], "255.255.255.0")
                self._static = list(pair) + (self._static or [_ZERO, _ZERO, _ZERO, _ZERO])[2:]
            elif name == "gw4":
                self._static = self._static or [_ZERO, _ZERO, _ZERO, _ZERO]
                self._static[2] = value
            else:
                raise ValueError("unexpected key")

    _STATION_KEYS = ("mac", "ssid", "hostname", "reconnects", "txpower", "pm", "protocol", "channel", "bandwidth")
    _AP_KEYS = (
        "mac",
        "ssid",
        "channel",
        "hidden",
        "security",
        "key",
        "password",
        "max_clients",
        "txpower",
        "pm",
        "protocol",
    )

    def config(self, *args, **kwargs):
        keys = self._AP_KEYS if self.fake_interface == AP_IF else self._STATION_KEYS
        if args:
            if kwargs or len(args) != 1:
                raise TypeError("either pos or kw args are allowed")
            if args[0] not in keys or args[0] in ("key", "password"):
                raise ValueError("unknown config param")
            return hostname() if args[0] == "hostname" else self._config[args[0]]
        for name, value in kwargs.items():
            if name not in keys:
                raise ValueError("unknown config param")
            self._set(name, value)

    def _set(self, name, value):
        if name == "key":
            name = "password"
        if name == "hostname":
            hostname(value)
            return
        if name in ("ssid", "password") and (not isinstance(value, str) or len(value) > 64):
            raise ValueError(name)
        if name == "password" and len(value) < 8 and self._config.get("security"):
            raise OSError("Wifi Invalid Password")
        if name == "max_clients" and not 1 <= value <= _AP_CLIENTS_MAX:
            raise OSError("Wifi Invalid Argument")
        self._config[name] = value


fake_reset()
