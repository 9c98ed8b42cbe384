"""The running gateway is killed at random moments while it saves: what it keeps is always old or new, never broken."""

import os
import random
import signal
import threading
import time

import pytest

from tests.integration.parts import wait_for

pytestmark = pytest.mark.usefixtures("host_build")

KILLS = 20


def test_configuration_survives_kills_at_random(parts):
    seed = int(os.environ.get("TINYBMS_SEED", time.time_ns() % 1_000_000))
    print("seed", seed)
    draw = random.Random(seed)
    parts.start_sim()
    parts.start_can()
    parts.bus()
    gateway = parts.start_gateway()
    parts.wait_connected()
    stored = 65
    for turn in range(KILLS):
        sent = [stored]

        def save(gateway=gateway, turn=turn, sent=sent):
            for step in range(50):
                value = 60 + (turn * 50 + step) % 35
                sent.append(value)
                try:
                    gateway.http("/api/config", "POST", {"charge": {"rebulk_soc": value}}, timeout=5)
                except OSError:
                    return  # it is dead

        if turn == 0:
            assert gateway.http("/api/config", "POST", {"charge_rebulk_soc": stored}).status == 200
        thread = threading.Thread(target=save)
        thread.start()
        time.sleep(draw.uniform(0.02, 0.4))
        os.kill(gateway.child.pid, signal.SIGKILL)
        thread.join(10)
        gateway = parts.start_gateway()
        stored = gateway.http("/api/config").json["charge"]["rebulk_soc"]
        assert stored in sent[-2:], (seed, turn, stored, sent)  # the last one, or the one before
        info = gateway.http("/api/system/info").json
        assert info["config_problem"] == "", (seed, turn, info)
    assert not (parts.data / "config.bad").exists()
    wait_for(lambda: gateway.status()["battery"]["status"] != "DISCONNECTED", 15, "the battery after the last kill")
