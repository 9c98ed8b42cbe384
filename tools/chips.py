"""The chips that the application is built for: instruction set, place of the parts in flash, and what each one does not need."""

from dataclasses import dataclass

MB = 1 << 20
BLOCK = 4096  # a sector of the flash, and a block of the file system


@dataclass(frozen=True)
class Chip:
    """`family`: -march of mpy-cross, which a slot's manifest names; None: no machine code. `image_id`: chip id in the header of
    an ESP image. `boot_offset`: where the official image begins in flash. `left_out`: modules that can never be loaded there
    (prefixes of paths below a slot).
    """

    name: str
    family: str | None
    image_id: int | None
    boot_offset: int | None
    left_out: tuple[str, ...]


# Loaded on the other kind of machine only. MicroPython's official images have umqtt.simple (esp32_micropython facts 6).
_ON_HOSTS_ONLY = ("firmware/board_host", "firmware/can_slcan", "lib/umqtt/")
_ON_BOARDS_ONLY = ("firmware/board_esp32", "firmware/can_twai")

CHIPS = {
    chip.name: chip
    for chip in (
        Chip("wasm", None, None, None, ()),  # the 32-bit webassembly port, in tests only
        Chip("host", "x64", None, None, _ON_BOARDS_ONLY),
        Chip("esp32", "xtensawin", 0, 0x1000, _ON_HOSTS_ONLY),
        Chip("esp32s3", "xtensawin", 9, 0x0, _ON_HOSTS_ONLY),
        Chip("esp32c3", "rv32imc", 5, 0x0, _ON_HOSTS_ONLY),
    )
}


@dataclass(frozen=True)
class Layout:
    """Where an official image leaves room for files: from `vfs_offset` to the end of the flash (esp32_micropython facts 5)."""

    name: str
    vfs_offset: int


LAYOUTS = {
    "4mb": Layout("4mb", 0x200000),  # ESP32_GENERIC and its like: one application partition
    "ota": Layout("ota", 0x310000),  # ESP32_GENERIC-OTA: two of 1.5 MB
}
