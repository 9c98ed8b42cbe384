"""Everything that can go wrong, one by one and in pairs, with what is promised for it checked on the wire: `make chaos`."""
