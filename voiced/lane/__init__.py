"""Shared memory between the processes: who owns which word, the rings, the seam to the OS.

Stdlib only, so that every process may import it for nothing.
"""
