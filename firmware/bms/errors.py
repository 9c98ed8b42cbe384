"""What the BMS room raises to its callers."""


class BmsError(Exception):
    """`code`: "timeout" (no answer), "nack" (refused), "offline" (the port is closed) or "range" (bad argument)."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code
