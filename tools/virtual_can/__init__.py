"""A virtual CAN bus: a TCP hub that is one SLCAN (Lawicel) adapter to each client, and one bus to all of them.

    python -m tools.virtual_can --listen 127.0.0.1:0

Each client is an SLCAN host: it sets a bit rate (S0-S8), opens the channel (O, or L to listen only) and sends t, T, r
and R frames; what it sends reaches every other client whose channel is open at the same bit rate. A frame is
acknowledged by any of those that does not only listen. When there is none, the adapter behaves as a real one does: it
takes frames until its FIFO is full, answers BELL from then on, shows it in F, and sends what it holds as soon as
somebody else opens.

With python-can: `can.Bus(interface="slcan", channel="socket://127.0.0.1:PORT", bitrate=500000, sleep_after_open=0)`;
`sleep_after_open` spares two seconds at start, `timeout=0.05` spares a thousand wake-ups a second while nothing comes.
"""
