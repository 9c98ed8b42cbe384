"""The battery snapshot: one array of integers that the hot path reads and writes without allocating.

`live.data[FIELD]` is an int in the unit noted at the field, or ABSENT where the BMS does not know it. ABSENT is never zero
and is never sent or shown as a number. Ages come from `age_ms`, `steering_age_ms` and `settings_age_s`; a value without its
age means nothing.

Viper code reads the array through `ptr32`; how to treat negative numbers there is told in the README ("Notes for developers").
"""

from array import array
from micropython import const
from firmware.lazy import seldom

ABSENT = const(0x3FFFFFFF)  # positive and below 2^30: a small int on the board, equal on both widths through ptr32
AGE_MAX_MS = const(86_400_000)  # ages saturate at a day
STALE_MS = const(5_000)  # no good poll for so long: the battery counts as gone (status DISCONNECTED)
CELLS_MAX = const(16)

# Measured, each poll (TinyBMS registers 0-55)
VOLTAGE = const(0)  # pack voltage, mV
CURRENT = const(1)  # mA, + = charging
SOC = const(2)  # state of charge, 0.01 %
SOH = const(3)  # state of health, 0.01 %; absent before firmware 2.3.251
TEMP_INT = const(4)  # internal temperature, 0.1 C
TEMP_EXT1 = const(5)  # external sensors, 0.1 C; absent when not connected
TEMP_EXT2 = const(6)
STATUS = const(7)  # online status code, register 50
CELL_MIN = const(8)  # lowest cell, mV (register 40)
CELL_MAX = const(9)  # highest cell, mV (register 41)
CELL_MIN_AT = const(10)  # its pack cell number, 1 = most negative
CELL_MAX_AT = const(11)
CELL_COUNT = const(12)  # configured cells
BALANCING = const(13)  # bit 0 = pack cell 1 is being balanced now
BALANCE_NEED = const(14)  # bit 0 = pack cell 1 needs balancing
TIME_LEFT = const(15)  # s, estimated
LIFETIME = const(16)  # s; jumps on real units, not a clock
CELL = const(17)  # 17..32: voltage of pack cell 1..16, mV; absent above CELL_COUNT

# Settings (registers 300-343), read at start and each 60 s
SET_FULL = const(33)  # 300 fully charged, mV a cell
SET_EMPTY = const(34)  # 301 fully discharged, mV a cell
SET_BALANCE_FROM = const(35)  # 303 early balancing threshold, mV
SET_TAIL = const(36)  # 304 charge finished current, mA
SET_PEAK_DISCHARGE = const(37)  # 305 peak discharge cut-off, mA; absent before firmware 2.3.254, or when 0
SET_CAPACITY = const(38)  # 306 mAh
SET_CELLS = const(39)  # 307
SET_DISBALANCE = const(40)  # 308 allowed disbalance, mV
SET_OV = const(41)  # 315 over-voltage cut-off, mV a cell
SET_UV = const(42)  # 316 under-voltage cut-off, mV a cell
SET_DISCHARGE_OC = const(43)  # 317 discharge (and regeneration) over-current cut-off, mA
SET_CHARGE_OC = const(44)  # 318 charge over-current cut-off, mA
SET_HOT = const(45)  # 319 over-heat cut-off, 0.1 C
SET_COLD = const(46)  # 320 low-temperature charge cut-off, 0.1 C
SET_MODE = const(47)  # 340: 0 dual port, 1 single port

# Version (registers 500-509), raw words
HARDWARE = const(48)  # 500: low byte version, high byte changes
FIRMWARE_PUBLIC = const(49)  # 501: low byte public firmware, bit 8 power type, bits 9-10 current sensor
FIRMWARE = const(50)  # 502: nnn of "2.3.nnn"
REGISTER_MAP = const(51)  # 503
SERIAL = const(52)  # 52..57: registers 504-509, 96 bits binary

# Statistics (registers 100-117), read rarely
STAT_MAX_DISCHARGE = const(58)  # 102, mA: a recorded peak, never a limit
STAT_MAX_CHARGE = const(59)  # 103, mA: a recorded peak, never a limit
STAT_MAX_SPREAD = const(60)  # 104, 0.1 mV
STAT_UV_COUNT = const(61)  # 105
STAT_OV_COUNT = const(62)  # 106
STAT_DISCHARGE_OC_COUNT = const(63)  # 107
STAT_CHARGE_OC_COUNT = const(64)  # 108
STAT_HOT_COUNT = const(65)  # 109
STAT_CHARGE_COUNT = const(66)  # 111
STAT_FULL_COUNT = const(67)  # 112
STAT_TEMP_MIN = const(68)  # 113 low byte, C
STAT_TEMP_MAX = const(69)  # 113 high byte, C
STAT_RESET_CAUSE = const(70)  # 114 low byte
STAT_WAKE_CAUSE = const(71)  # 114 high byte

# BMS events that are active now; absent until the events were read
FAULTS = const(72)  # bit n = fault 0x00 + n is active (n 1..29), bit 0 = UNKNOWN_FAULT
UNKNOWN_FAULT = const(1)  # the events could not be read when the status became FAULT
WARNINGS = const(73)  # bit n = warning 0x30 + n is active (n 1..29)

# What was last sent on CAN (0x351); absent while nothing is sent
CVL = const(74)  # charge voltage limit, mV
CCL = const(75)  # charge current limit, mA
DCL = const(76)  # discharge current limit, mA

# Lifetime energy through the gateway, Wh; absent until counted
ENERGY_IN = const(77)
ENERGY_OUT = const(78)

FIELDS = const(79)

# Online status codes (register 50; tinybms_uart facts, section 10)
CHARGING = const(0x91)
FULLY_CHARGED = const(0x92)
DISCHARGING = const(0x93)
SLEEP = const(0x95)
REGENERATION = const(0x96)
IDLE = const(0x97)
FAULT = const(0x9B)

STATUS_NAMES = {
    CHARGING: "CHARGING",
    FULLY_CHARGED: "FULLY_CHARGED",
    DISCHARGING: "DISCHARGING",
    SLEEP: "SLEEP",
    REGENERATION: "REGENERATION",
    IDLE: "IDLE",
    FAULT: "FAULT",
}


class Live:
    """The one snapshot. `clock` gives `ticks_ms()` and `ticks_diff(a, b)` (the board does)."""

    @seldom
    def __init__(self, clock):
        self.data = array("i", (ABSENT,) * FIELDS)
        self.polls = 0  # good polls since start
        self.qualified = False  # two good polls in a row and the settings: CAN may speak
        self._clock = clock
        self._t_good = None  # ticks of the last good poll; None: none yet, or saturated
        self._t_steer = None
        self._t_settings = None

    def get(self, field):
        """The value of `field`, or None where it is absent."""
        value = self.data[field]
        return None if value == ABSENT else value

    def good_poll(self):
        """The BMS room calls this after it wrote a complete and plausible poll into `data`."""
        now = self._clock.ticks_ms()
        self.polls += 1
        self._t_good = now
        if self.qualified:
            self._t_steer = now

    def settings_read(self):
        """The BMS room calls this after it wrote all settings into `data`."""
        self._t_settings = self._clock.ticks_ms()

    def _age(self, since):
        if since is None:
            return AGE_MAX_MS
        age = self._clock.ticks_diff(self._clock.ticks_ms(), since)
        return age if 0 <= age < AGE_MAX_MS else AGE_MAX_MS

    # Each age forgets its time stamp once it saturates: ticks_diff is only right for 6 days, and old must stay old. Something
    # (the CAN schedule) asks each second.

    def age_ms(self):
        """Milliseconds since the last good poll, AGE_MAX_MS when there was none or it is over a day ago."""
        age = self._age(self._t_good)
        if age == AGE_MAX_MS:
            self._t_good = None
        return age

    def steering_age_ms(self):
        """Milliseconds since the last good poll that may steer the GX (`qualified` then), saturating."""
        age = self._age(self._t_steer)
        if age == AGE_MAX_MS:
            self._t_steer = None
        return age

    def settings_age_s(self):
        """Seconds since the settings were read, saturating at a day (86400)."""
        age = self._age(self._t_settings)
        if age == AGE_MAX_MS:
            self._t_settings = None
        return age // 1000

    def connected(self):
        """True while the last good poll is under STALE_MS old."""
        return self.age_ms() < STALE_MS

    def status(self):
        """The status word of the API: a name of register 50, or DISCONNECTED."""
        if not self.connected():
            return "DISCONNECTED"
        return STATUS_NAMES.get(self.data[STATUS], "FAULT")

    def temperature(self):
        """Pack temperature in 0.1 C: the mean of the external sensors present, else the internal one, else None."""
        one, two = self.data[TEMP_EXT1], self.data[TEMP_EXT2]
        if one != ABSENT and two != ABSENT:
            return (one + two) // 2
        if one != ABSENT:
            return one
        if two != ABSENT:
            return two
        return self.get(TEMP_INT)
