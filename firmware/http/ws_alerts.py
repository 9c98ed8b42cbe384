"""The messages of /ws/alerts. Loaded when somebody watches."""

import json
from firmware.http import ws


class Alerts:
    def __init__(self, parts):
        self._alerts = parts.alerts

    def active(self):
        """Entries of the active alerts, newest first."""
        texts = self._alerts.texts()
        return [texts.entry(alert) for alert in sorted(self._alerts.active.values(), key=lambda alert: -alert.id)]

    def opening(self):
        """The frame that comes first."""
        return ws.text_frame(json.dumps({"type": "alerts", "alerts": self.active()}))

    def convert(self, topic, payload):
        alert = self._alerts.get(payload[0])
        return {"type": "alert", "alert": self._alerts.texts().entry(alert)} if alert else None
