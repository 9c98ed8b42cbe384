"""make flash: what it makes of an image, the commands, and the real esptool against a simulated ROM loader."""

import struct
import subprocess
import sys
import time

import pytest

from tools import flash
from tools.chips import CHIPS, MB

FACTORY = [("nvs", 1, 0x9000, 0x6000), ("phy_init", 1, 0xF000, 0x1000), ("factory", 0, 0x10000, 0x1F0000)]
OTA = [
    ("nvs", 1, 0x9000, 0x4000), ("otadata", 1, 0xD000, 0x2000), ("phy_init", 1, 0xF000, 0x1000),
    ("ota_0", 0, 0x10000, 0x180000), ("ota_1", 0, 0x190000, 0x180000), ("vfs", 1, 0x310000, 0xF0000),
]  # fmt: skip
NAME = b"\0MicroPython v1.27.0 on 2025-12-09; Generic ESP32 module with ESP32\0"


def firmware(chip="esp32", partitions=FACTORY, name=NAME, size=0x18000):
    """An image as micropython.org gives it out: header, partition table (esp32_micropython facts 5), the name somewhere."""
    data = bytearray(b"\xff" * size)
    data[0] = 0xE9
    struct.pack_into("<H", data, 12, CHIPS[chip].image_id if chip in CHIPS else chip)
    start = 0x8000 - (CHIPS[chip].boot_offset if chip in CHIPS else 0)
    for i, (label, kind, offset, length) in enumerate(partitions):
        struct.pack_into("<2sBBII16sI", data, start + 32 * i, b"\xaa\x50", kind, 0, offset, length, label.encode(), 0)
    data[0x12000 : 0x12000 + len(name)] = name
    return bytes(data)


@pytest.mark.parametrize("chip", ["esp32", "esp32s3", "esp32c3"])
def test_official_images(chip):
    found = flash.inspect(firmware(chip))
    assert (found.chip, found.layout, found.vfs(4 * MB)) == (chip, "4mb", (0x200000, 0x200000))
    assert found.version.startswith("v1.27.0")
    assert found.vfs(16 * MB) == (0x200000, 14 * MB)
    ota = flash.inspect(firmware(chip, OTA))
    assert (ota.layout, ota.vfs(4 * MB)) == ("ota", (0x310000, 0xF0000))


@pytest.mark.parametrize(
    "data, why",
    [
        (b"", "no ESP image"),
        (b"\x00" * 0x20000, "no ESP image"),
        (firmware(2), "not supported"),  # S2
        (firmware(partitions=[]), "no partition table"),
        (firmware(name=b""), "not MicroPython"),
    ],
)
def test_what_is_refused(data, why):
    with pytest.raises(SystemExit, match=why):
        flash.inspect(data)


def test_commands_in_their_order():
    found = flash.inspect(firmware())
    shown = [flash.shown(command) for command in flash.commands(found, "mp.bin", "ours.img", 0x200000, "/dev/ttyUSB0")]
    head = "esptool --chip esp32 --port /dev/ttyUSB0 "
    assert shown == [
        head + "--after no-reset erase-flash",
        head + "--baud 460800 --after no-reset write-flash 0x1000 mp.bin 0x200000 ours.img",
        head + "--baud 460800 --after hard-reset verify-flash 0x200000 ours.img",
    ]
    assert "write-flash 0x0 mp.bin" in flash.shown(
        flash.commands(flash.inspect(firmware("esp32s3")), "mp.bin", "x", 1, "p")[1]
    )


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["flash", *map(str, arguments)])
    flash.main()


def test_dry_run_touches_nothing(tmp_path, monkeypatch, capsys):
    (tmp_path / "mp.bin").write_bytes(firmware(partitions=OTA))
    monkeypatch.setattr(flash, "make_image", lambda firmware, offset, size: f"image-{offset:x}-{size:x}")
    run(monkeypatch, "/dev/nothing", tmp_path / "mp.bin", "--dry-run")
    said = capsys.readouterr().out
    assert (
        "write-flash 0x1000" in said
        and "0x310000 image-310000-f0000" in said
        and "cannot update itself over the air" in said
    )
    with pytest.raises(SystemExit, match="for esp32, not for esp32c3"):
        run(monkeypatch, "/dev/nothing", tmp_path / "mp.bin", "--dry-run", "--chip", "esp32c3")
    with pytest.raises(SystemExit, match="no answer from the board"):
        run(monkeypatch, "socket://127.0.0.1:9", tmp_path / "mp.bin")
    with pytest.raises(SystemExit, match="is not there"):
        run(monkeypatch, "/dev/nothing", tmp_path / "missing.bin")


@pytest.mark.parametrize("chip", ["esp32", "esp32c3"])
def test_esptool_against_a_simulated_loader(chip, tmp_path, monkeypatch, capfd):
    """The loader of esp32-mock-bootloader: real protocol, real esptool, flash in memory; it runs nothing."""
    port_file = tmp_path / "port"
    command = [
        sys.executable,
        "-m",
        "esp32_mock_bootloader.cli",
        "run",
        "--chip",
        chip,
        "--port",
        "0",
        "--port-file",
        port_file,
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as loader:
        try:
            deadline = time.monotonic() + 30
            while not (port_file.exists() and port_file.read_text().strip()):
                assert time.monotonic() < deadline and loader.poll() is None
                time.sleep(0.05)
            url = port_file.read_text().strip()
            url = url if url.startswith("socket://") else f"socket://127.0.0.1:{url}"
            (tmp_path / "mp.bin").write_bytes(firmware(chip))
            ours = tmp_path / "ours.img"
            ours.write_bytes(bytes(range(256)) * 512)
            monkeypatch.setattr(flash, "make_image", lambda firmware, offset, size: ours)
            run(monkeypatch, url, tmp_path / "mp.bin")
        finally:
            loader.kill()
    said = capfd.readouterr().out
    assert said.count("Hash of data verified.") == 2 and "Verification successful" in said and "What next" in said
