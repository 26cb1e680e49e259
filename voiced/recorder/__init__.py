"""The recorder process: conversations into sound files.

It reads the rings as one more reader, by position, and writes to no word but its own stamp: it may
be slow, hang or die, and nobody hears of it at the loudspeaker.
"""
