"""What the BMS room raises to its callers."""


class BmsError(Exception):
    """`code`: "timeout" (no answer), "nack" (refused), "offline" (the port is closed) or "range" (bad argument)."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class RegisterError(ValueError):
    """A write that was refused. `field`: key or address as given; `details`: text with field and range, for the API."""

    def __init__(self, field, text):
        self.field = field
        self.details = "%s %s" % (field, text)
        super().__init__(self.details)
