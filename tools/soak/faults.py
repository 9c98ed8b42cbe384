"""What goes wrong, one thing after the other and sometimes two at once, drawn at random. Under MicroPython.

Each fault is a coroutine `name(sim)`: it begins, waits, ends what it did, and the world is whole again.
"""

import asyncio
import random

from tools.soak.clock import outside
from tools.soak.ends import LINE

_MEAN_PAUSE_S = 900
_CAUSES = (0x02, 0x03, 0x05, 0x06, 0x04)
_ENDS = {0x02: 0x7B, 0x03: 0x79, 0x05: 0x77, 0x06: 0x76, 0x04: 0x73}  # firmware/bms/events.py: _ENDED


def _long_tail(low, high):
    """Seconds: often near `low`, sometimes near `high`."""
    return low + (high - low) * random.random() ** 3


async def bms_silent(sim):
    seconds = _long_tail(2, 1500)
    sim.port.silent_until = sim.waits.now + int(seconds * 1000)
    await asyncio.sleep(seconds)


async def bms_line(sim):
    for name in LINE:
        if random.random() < 0.35:
            sim.port.rates[name] = random.choice((0.02, 0.1, 0.4))
    await asyncio.sleep(_long_tail(10, 900))
    sim.port.rates.clear()


async def bms_sleeps(sim):
    for _ in range(random.randrange(1, 20)):
        sim.port.sleeping = random.choice((1, 1, 1, 3))
        await asyncio.sleep(random.randrange(2, 20))
    sim.port.sleeping = 0


async def uart_gone(sim):
    seconds = _long_tail(1, 300)
    sim.port.hang_up(sim.waits.now + int(seconds * 1000))
    await asyncio.sleep(seconds + 2)


async def bms_fault(sim):
    cause = random.choice(_CAUSES)
    sim.port.log_event(cause)
    sim.pack.fault = cause
    sim.fault_at = sim.waits.now
    await asyncio.sleep(_long_tail(5, 1800))
    sim.pack.fault = 0
    sim.port.log_event(_ENDS[cause])
    await asyncio.sleep(12)


async def bms_restarts(sim):
    sim.port.silent_until = sim.waits.now + 1500
    sim.port.events = []
    sim.port.log_event(0x61)
    await asyncio.sleep(5)


async def settings_refused(sim):
    """Registers 300-343 cannot be: no poll counts until they can."""
    before = sim.port.registers[300]
    sim.port.registers[300] = random.choice((0, 2000, 9000))
    await asyncio.sleep(_long_tail(30, 300))
    sim.port.registers[300] = before
    await asyncio.sleep(10)


async def can_no_ack(sim):
    await _can(sim, "NO_ACK")


async def can_bus_off(sim):
    await _can(sim, "BUS_OFF")


async def _can(sim, fault):
    sim.driver.fail(fault)
    await asyncio.sleep(_long_tail(1, 600))
    sim.driver.fail("")


async def gx_gone(sim):
    sim.gx = sim.driver.gx = False
    await asyncio.sleep(_long_tail(5, 1800))
    sim.gx = sim.driver.gx = True


async def broker_gone(sim):
    sim.broker.gone(True)
    await asyncio.sleep(_long_tail(5, 3600))
    sim.broker.gone(False)


async def broker_slow(sim):
    sim.broker.slow_ms = random.choice((50, 500, 3000, 14000))
    await asyncio.sleep(_long_tail(30, 900))
    sim.broker.slow_ms = 0


async def broker_refuses(sim):
    sim.broker.refuse = random.choice((1, 3, 4, 5))
    for wire in sim.broker.wires:
        wire.pipe.reset()
    await asyncio.sleep(_long_tail(10, 600))
    sim.broker.refuse = 0


async def network_gone(sim):
    sim.net.down = True
    await asyncio.sleep(_long_tail(2, 3600))
    sim.net.down = False


async def disk_full(sim):
    await _disk(sim, "full")


async def disk_breaks(sim):
    await _disk(sim, "half")


async def _disk(sim, fault):
    sim.disk.fault = fault
    await asyncio.sleep(_long_tail(10, 3600))
    sim.disk.fault = ""
    sim.disk_at = sim.waits.now


async def clock_set(sim):
    """NTP or a browser sets another time: seconds, hours, back too."""
    step = random.choice((-7200, -3600, -90, -2, 3, 60, 3600, 14_400, 90_000)) * 1000
    board = sim.app and sim.app.board
    if board and board.time_valid:
        board.set_epoch_ms(board.epoch_ms() + step, "browser")
        await asyncio.sleep(_long_tail(60, 3600))
        if sim.app and sim.app.board is board:
            board.set_epoch_ms(sim.epoch_ms(), "ntp")


async def configured(sim):
    """Somebody changes settings; they come back to what they were."""
    changes = random.choice((
        ('{"charge_ccl_max_ma": 40000}', '{"charge_ccl_max_ma": 0}'),
        ('{"charge_cvl_max_mv": 55000}', '{"charge_cvl_max_mv": 0}'),
        ('{"history_interval_ms": 5000}', '{"history_interval_ms": 1000}'),
        ('{"alerts_debounce_sec": 1}', '{"alerts_debounce_sec": 60}'),
        ('{"alerts_temperature_max_c": 20}', '{"alerts_temperature_max_c": 45}'),
        ('{"time_utc_offset_min": 120}', '{"time_utc_offset_min": 0}'),
        ('{"log_level": "debug"}', '{"log_level": "info"}'),
        ('{"mqtt_can_raw_enabled": true}', '{"mqtt_can_raw_enabled": false}'),
        ('{"can_enabled": false}', '{"can_enabled": true}'),
        ('{"uart_poll_interval_ms": 250}', '{"uart_poll_interval_ms": 1000}'),
        ('{"mqtt_broker_uri": ""}', '{"mqtt_broker_uri": "mqtt://10.0.0.2"}'),
        ('{"charge_rebulk_soc": 900}', '{"nonsense": 1}'),
    ))  # fmt: skip
    for n, body in enumerate(changes):
        if n:
            await asyncio.sleep(_long_tail(20, 120))
        for _ in range(200):  # the network may be away, the disk full, the gateway just starting
            answer = await sim.clients.ask("/api/config", "POST", body.encode())
            if answer and answer[0] in (200, 400):
                break
            await asyncio.sleep(30)


async def register_written(sim):
    before = sim.port.registers[315]
    for value in (3720, before):
        body = '{"address": 315, "value": %d}' % value
        for _ in range(200):
            answer = await sim.clients.ask("/api/registers", "POST", body.encode())
            if answer and answer[0] in (200, 400, 401, 403):
                sim.written += answer[0] == 200
                break
            await asyncio.sleep(20)
        await asyncio.sleep(30)
    sim.port.registers[315] = before


async def clients_hang(sim):
    for _ in range(random.randrange(1, 9)):
        outside(sim.clients.hang(_long_tail(5, 120)))
        await asyncio.sleep(random.random())
    await asyncio.sleep(120)


async def dashboards(sim):
    for _ in range(random.randrange(1, 5)):
        outside(sim.clients.watch(random.choice(sim.sockets), _long_tail(5, 300)))
    await asyncio.sleep(300)


async def alert_storm(sim):
    """Conditions that come and go."""
    for _ in range(random.randrange(3, 30)):
        sim.pack.high_cell_mv = random.choice((0, 60, 150))
        sim.pack.shift_c = random.choice((0, 0, 30, -25))
        sim.port.log_event(random.choice((0x31, 0x33, 0x34, 0x38, 0x39, 0x62, 0x64, 0x65, 0x7A)))
        await asyncio.sleep(random.randrange(1, 90))
    sim.pack.high_cell_mv = sim.pack.shift_c = 0
    sim.port.log_event(0x7A)


async def acknowledged(sim):
    await sim.clients.ask("/api/alerts/acknowledge", "POST", b"{}")


async def mqtt_commands(sim):
    for _ in range(random.randrange(1, 20)):
        topic = b"tinybms/cmd/" + random.choice((b"limits", b"acknowledge", b"config", b"x"))
        await sim.broker.publish(topic, b'{"ccl_ma": 20000}')
        await asyncio.sleep(random.random())
    await asyncio.sleep(5)


async def killed(sim):
    """Power cut, or the watchdog."""
    await sim.kill("WATCHDOG" if random.random() < 0.3 else "POWER_ON")


async def restarted(sim):
    """As the user asks for it."""
    await sim.clients.ask("/api/system/restart", "POST", b'{"target": "gateway", "delay_ms": 500}')
    await asyncio.sleep(15)


ALL = (
    bms_silent, bms_silent, bms_line, bms_line, bms_sleeps, uart_gone, bms_fault, bms_restarts, settings_refused,
    can_no_ack, can_bus_off, gx_gone, broker_gone, broker_slow, broker_refuses, network_gone, disk_full, disk_breaks,
    clock_set, configured, configured, register_written, clients_hang, dashboards, dashboards, alert_storm, acknowledged,
    mqtt_commands, killed, restarted,
)  # fmt: skip
# 0x351 must not notice these
QUIET = (
    acknowledged, dashboards, clients_hang, gx_gone, broker_gone, broker_slow, broker_refuses, network_gone, disk_full,
    disk_breaks, mqtt_commands,
)  # fmt: skip


async def run(sim):
    """Draw for ever."""
    while True:
        await asyncio.sleep(-_MEAN_PAUSE_S * _log(1 - random.random()))
        count = random.choice((1, 1, 1, 2))
        for task in [outside(one(sim, random.choice(ALL))) for _ in range(count)]:
            await task


async def one(sim, fault):
    name = fault.__name__
    if name in sim.running:  # twice the same would end each other
        return
    if "nokills" in sim.words and fault in (killed, restarted):
        return
    sim.running.append(name)
    sim.faults[name] = sim.faults.get(name, 0) + 1
    disturbs = fault not in QUIET
    sim.disturbed += disturbs
    try:
        await fault(sim)
    finally:
        sim.running.remove(name)
        sim.disturbed -= disturbs
        if disturbs:
            sim.calm_after(30_000)


def _log(x):
    from math import log

    return log(x)
