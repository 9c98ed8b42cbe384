"""What is always known of updates; the work itself is in update.py, loaded for an upload."""


class Ota:
    busy = False  # an upload is being received or installed
    state = "IDLE"  # RECEIVING, CHECKING, WRITING, VERIFYING; then READY (a restart starts it) or FAILED
    percent = 0  # of that state
    error = ""  # why it is FAILED
    update_mode = False  # nothing that is only looked at was started
    partition = version = ""  # what is READY
