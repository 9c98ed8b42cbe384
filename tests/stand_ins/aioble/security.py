"""Stand-in of aioble.security: that it can be imported is all that the firmware needs of it."""
