"""The scripts process: an agent's Python file, its callbacks and its tools.

Whatever the file does costs this process alone. It has no key, no shared memory and no sound; it
is started again where it ends, and control keeps count of why.
"""
