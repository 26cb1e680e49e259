"""The midi process: the machine's MIDI ports, in a program of their own.

Drivers and servers may be slow to answer, and libjack frees the clients of a dead server under
their owners: whatever happens here, control goes on. The process is crash-only: when what it opened
is gone with its server, it exits and control starts a new one.
"""
