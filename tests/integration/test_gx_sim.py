"""The simulated GX against a battery that the test plays."""

import threading

from tests.integration.parts import wait_for
from tools import control as control_channel
from tools.control import Control
from tools.gx_sim import GxSim
from tools.processes import tool

GOOD = bytes.fromhex("480200050005AE01")  # 58.4 V, 128 A, 128 A, 43.0 V
ALL_OK = b"\xaa" * 8


def test_says_what_a_gx_says_and_notes_what_it_hears(parts):
    parts.start_can()
    bus, gx = parts.bus(), parts.gx()
    assert bus.wait(0x305) == bytes(8)
    assert bus.wait(0x307) == bytes.fromhex("1234567856494300")
    assert gx.status == "WAITING" and not [f for f in bus.frames if f[1] == 0x306]
    bus.send(0x351, GOOD)
    bus.send(0x355, bytes.fromhex("430064009C1A"))
    bus.wait(0x306)
    wait_for(lambda: gx.state.get("soc_hires_pct") == 68.12)
    assert gx.state["cvl_V"] == 58.4 and gx.state["soc_pct"] == 67 and gx.status == "OK"
    assert gx.limits() == {"cvl_mv": 58400, "ccl_ma": 128000, "dcl_ma": 128000}
    assert "CVL 58.4 V" in gx.summary() and "67 %" in gx.summary()
    assert len(gx.seen[0x351]) == 1


def test_alarms_by_name_when_they_change():
    gx = GxSim("slcan:/dev/none")
    gx.hear(0x35A, ALL_OK)
    assert gx.log == [] and gx.alarms == []
    gx.hear(0x35A, bytes.fromhex("A6AAAAAA AAAA6AAA"))
    gx.hear(0x35A, bytes.fromhex("A6AAAAAA AAAA6AAA"))
    assert gx.alarms == ["high_voltage"] and gx.warnings == ["bms_internal"]
    gx.hear(0x35A, ALL_OK)
    assert [text for _, text in gx.log] == [
        "alarm high_voltage", "warning bms_internal", "alarm high_voltage cleared", "warning bms_internal cleared",
    ]  # fmt: skip


def test_lost_and_back_and_a_hub_that_goes(parts):
    parts.start_can()
    bus, gx = parts.bus(), parts.gx()
    texts = lambda: [text for _, text in gx.log]  # noqa: E731
    bus.wait(0x305)
    assert "LOST" not in texts()  # nothing was there to lose
    bus.send(0x351, GOOD)
    wait_for(lambda: "LOST" in texts(), 8)
    lost, seen = next(at for at, text in gx.log if text == "LOST"), gx.seen[0x351][-1]
    assert 2.9 < lost + gx._start - seen < 5 and gx.limits() == {"cvl_mv": 0, "ccl_ma": 0, "dcl_ma": 0}
    bus.send(0x351, GOOD)
    wait_for(lambda: "BACK" in texts())
    parts.can_control.call("fault", name="disconnect", ms=500)
    wait_for(lambda: texts().count(f"on the bus {parts.can_url}") == 2)
    assert any(text.startswith("bus gone") for text in texts())


def test_garbage_on_the_line_does_not_end_it(parts):
    parts.start_can()
    bus, gx = parts.bus(), parts.gx()
    bus.wait(0x305)
    for junk in (b"\xff\xfe\r", b"t3\r", b"tzzz8\r", b"t3518zz\r", b"\a\a", b"t9"):
        parts.can_control.call("fault", name="garbage", hex=junk.hex(), client=2)
    parts.can_control.call("fault", name="garbage", hex="0d", client=2)
    bus.send(0x351, GOOD)
    wait_for(lambda: gx.status == "OK")


class FakeModel:
    """The control channel of a simulated BMS; `calls` are what it was told."""

    def __init__(self):
        self.calls, self.url = [], None
        started = threading.Event()
        threading.Thread(target=self._run, args=(started,), daemon=True).start()
        assert started.wait(5)

    def _run(self, started):
        import asyncio

        async def serve():
            server = await control_channel.serve(lambda cmd, values: self.calls.append((cmd, values)), "127.0.0.1", 0)
            self.url = "socket://" + control_channel.name_of(server)
            started.set()
            await asyncio.sleep(60)

        asyncio.run(serve())


def test_steers_the_model_and_stops_it_when_lost(parts):
    model = FakeModel()
    parts.start_can()
    bus = parts.bus()
    child = parts.start("gx_sim", tool("gx_sim", "--can", parts.can_url, "--steer", model.url, "--interval", 0.5))
    zeros = ("model", {"charger_cvl_mv": 0, "charger_ccl_ma": 0, "load_dcl_ma": 0})
    full = ("model", {"charger_cvl_mv": 58400, "charger_ccl_ma": 128000, "load_dcl_ma": 128000})
    wait_for(lambda: model.calls[-1:] == [zeros])
    bus.wait(0x305)
    bus.send(0x351, GOOD)
    wait_for(lambda: model.calls[-1] == full)
    wait_for(lambda: model.calls[-1] == zeros, 8)
    wait_for(lambda: any(line.endswith(" LOST") for line in child.lines))
    assert any("CVL 58.4 V" in line for line in child.lines)
    child.process.terminate()
    assert child.wait() == 0


def test_steers_the_real_simulator(parts):
    parts.start_can()
    parts.start_sim(scenario="full")
    bus = parts.bus()
    gx = parts.gx(steer="socket://{}:{}".format(*parts.control._socket.getpeername()))
    bus.wait(0x305)
    bus.send(0x351, GOOD)
    wait_for(lambda: gx.status == "OK")
    assert isinstance(parts.control, Control) and not [t for _, t in gx.log if t.startswith("cannot steer")]
