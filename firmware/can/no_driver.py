"""What stands where the configuration names no CAN driver that can be."""


class NoDriver:
    state = "STOPPED"
    sent = received = errors = 0
    last_error = "NO_DRIVER"
    on_receive = None

    async def start(self):
        raise OSError("no driver")

    def stop(self):
        pass
