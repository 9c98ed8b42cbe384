"""SLCAN lines (Lawicel ASCII) of standard data frames, written and read in viper; nothing allocated."""


@micropython.viper
def encode(can_id: int, data: ptr8, size: int, line: ptr8) -> int:
    """Write `tIIIL<hex>` and CR for a standard frame into `line`; gives its length."""
    line[0] = 116  # t
    at = 1
    shift = 8
    while shift >= 0:
        digit = (can_id >> shift) & 15
        line[at] = digit + 48 if digit < 10 else digit + 55
        at += 1
        shift -= 4
    line[4] = 48 + size
    at = 5
    i = 0
    while i < size:
        byte = data[i]
        digit = byte >> 4
        line[at] = digit + 48 if digit < 10 else digit + 55
        digit = byte & 15
        line[at + 1] = digit + 48 if digit < 10 else digit + 55
        at += 2
        i += 1
    line[at] = 13
    return at + 1


@micropython.viper
def parse(line: ptr8, size: int, data: ptr8) -> int:
    """Read a line without its CR: dlc << 11 | id of a standard data frame whose bytes are now in `data` (8 bytes), else -1.

    A time stamp (four digits) after the data is allowed.
    """
    if size < 5 or line[0] != 116:
        return -1
    can_id = 0
    dlc = line[4] - 48
    if dlc < 0 or dlc > 8 or (size != 5 + 2 * dlc and size != 9 + 2 * dlc):
        return -1
    i = 1
    while i < 5 + 2 * dlc:
        digit = line[i]
        if digit >= 48 and digit <= 57:
            digit -= 48
        elif digit >= 65 and digit <= 70:
            digit -= 55
        elif digit >= 97 and digit <= 102:
            digit -= 87
        else:
            return -1
        if i < 4:
            can_id = can_id << 4 | digit
        elif i > 4:
            at = (i - 5) >> 1
            data[at] = (data[at] << 4 | digit) & 255
        i += 1
    if can_id > 0x7FF:
        return -1
    return dlc << 11 | can_id
