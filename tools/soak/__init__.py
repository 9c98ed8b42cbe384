"""`make soak`: months of the whole gateway in minutes of this machine. See __main__.py."""
