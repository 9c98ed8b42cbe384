"""The messages of /ws/alerts. Loaded when somebody watches."""

import json
from firmware.http import ws


class Alerts:
    """`language`: of the texts, "fr" or "en"; None: the gateway's, as it is at the moment."""

    def __init__(self, parts, language=None):
        self._alerts = parts.alerts
        self._language = language

    def active(self):
        """Entries of the active alerts, newest first."""
        texts = self._alerts.texts(self._language)
        return [texts.entry(alert) for alert in sorted(self._alerts.active.values(), key=lambda alert: -alert.id)]

    def opening(self):
        """The frame that comes first."""
        return ws.text_frame(json.dumps({"type": "alerts", "alerts": self.active()}))

    def convert(self, topic, payload):
        alert = self._alerts.get(payload[0])
        return {"type": "alert", "alert": self._alerts.texts(self._language).entry(alert)} if alert else None
