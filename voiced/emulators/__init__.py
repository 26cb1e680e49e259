"""Strict stand-ins of the cloud voice services: what `voiced emulate` runs.

An emulator holds a conversation as its service does, refuses what the service refuses, plays faults
from a script, and writes down what its client sent wrongly. It shares no code with the provider
that it checks.
"""
