"""The battery over Bluetooth, read only: the standard's battery service, and one of our own with what it lacks.

Battery service 0x180F, level 0x2A19: SoC in percent, one byte. The standard knows no "unknown": while the BMS is gone the value
is empty and nothing is notified, so that nobody takes an old level for today's.

Our service 51b7xxxx-6c1d-4f7e-9a55-7a1b5e9d20c4, xxxx = 0000. All numbers little-endian, all values readable and notified when
they change:

    0001 voltage   uint32  mV                          unknown: FFFFFFFF
    0002 current   int32   mA, + = charging            unknown: 7FFFFFFF
    0003 status    uint8   code of TinyBMS register 50 0 = DISCONNECTED
    0004 alarms    uint32 faults, uint32 warnings      bit n = event 0x00 + n, 0x30 + n is active; unknown: FFFFFFFF
    0005 limits    uint32 CVL in mV, CCL in mA, DCL in mA, as sent to the GX now; FFFFFFFF: not sent
    0006 age       uint32  ms since the last good poll, at most a day; written each second, not notified
"""

import asyncio
import struct
import bluetooth
from micropython import const
from firmware import live as fields

_INTERVAL_US = const(500_000)  # between advertisements: seldom, they take time from WiFi
_UPDATE_MS = const(1000)
_NAME_MAX = const(20)  # what fits beside flags and service
_UUID = "51b7%04x-6c1d-4f7e-9a55-7a1b5e9d20c4"
_UNKNOWN = b"\xff\xff\xff\xff"
_LEVEL = const(0)
_AGE = const(6)


def _u32(live, field):
    value = live.data[field]
    return _UNKNOWN if value == fields.ABSENT else struct.pack("<i", value)


def values(live):
    """The bytes of the level, then of 0001 to 0006, as they are now."""
    if not live.connected():  # old is not now
        return (
            b"", _UNKNOWN, b"\xff\xff\xff\x7f", b"\0", _UNKNOWN + _UNKNOWN, _limits(live), struct.pack("<i", live.age_ms()),
        )  # fmt: skip
    data = live.data
    soc = data[fields.SOC]
    current = data[fields.CURRENT]
    status = data[fields.STATUS]
    return (
        b"" if soc == fields.ABSENT else bytes((min(100, max(0, (soc + 50) // 100)),)),
        _u32(live, fields.VOLTAGE),
        struct.pack("<i", 0x7FFFFFFF if current == fields.ABSENT else current),
        bytes((0 if status == fields.ABSENT else status & 0xFF,)),
        _u32(live, fields.FAULTS) + _u32(live, fields.WARNINGS),
        _limits(live),
        struct.pack("<i", live.age_ms()),
    )


def _limits(live):
    return _u32(live, fields.CVL) + _u32(live, fields.CCL) + _u32(live, fields.DCL)


class Mode:
    """`run()` advertises and keeps the values up to date, until it is cancelled."""

    def __init__(self, app, aioble):
        self.connected = False
        self._app = app
        self._aioble = aioble
        battery = aioble.Service(bluetooth.UUID(0x180F))
        ours = aioble.Service(bluetooth.UUID(_UUID % 0))
        make = aioble.Characteristic
        self._characteristics = [make(battery, bluetooth.UUID(0x2A19), read=True, notify=True)]
        for number in range(1, 7):
            self._characteristics.append(make(ours, bluetooth.UUID(_UUID % number), read=True, notify=number != _AGE))
        self._sent = [None] * 7
        aioble.register_services(battery, ours)

    async def run(self):
        advertising = asyncio.create_task(self._advertise())
        try:
            while not advertising.done():
                self.update()
                await asyncio.sleep_ms(_UPDATE_MS)
            await advertising
        finally:
            advertising.cancel()

    def update(self):
        """Write what has changed."""
        for number, value in enumerate(values(self._app.live)):
            if value != self._sent[number]:
                self._sent[number] = value
                # an empty level must not be notified: it would be no level
                notify = value != b"" and number != _AGE
                self._characteristics[number].write(value, send_update=notify)

    async def _advertise(self):
        """One connection at a time. When it is cancelled, aioble's `advertise` gives None instead of raising."""
        name = self._app.config.get("system.hostname")[:_NAME_MAX]
        while True:
            connection = await self._aioble.advertise(_INTERVAL_US, name=name, services=[bluetooth.UUID(0x180F)])
            if connection is None:
                return
            self.connected = True
            try:
                await connection.disconnected()
            finally:
                self.connected = False
