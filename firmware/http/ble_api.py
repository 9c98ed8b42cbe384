"""GET /api/ble."""

from firmware.http.api import reply


def register(app, parts):
    async def get_ble(request):
        ble = getattr(parts, "ble", None)
        config = parts.config
        return reply(
            {
                "enabled": config.get("ble.enabled"),
                "provisioning": config.get("ble.provisioning"),
                "state": ble.state if ble else "off",
                "reason": ble.reason if ble else "",
                "connected": ble.connected if ble else False,
            }
        )

    return {"GET /api/ble": get_ble}
