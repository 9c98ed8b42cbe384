"""Fuzzing of everything that reads what strangers send: `make chaos ARGS=--fuzz`, see __main__.py.

hypothesis draws cases here, a long-lived MicroPython process for each target (driver.py) gives them to the firmware's own code.
Each drawn case comes with mutants: bits flipped, pieces cut out, doubled, put elsewhere.
"""
