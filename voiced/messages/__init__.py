"""What crosses process borders: one module a channel, records and their codec, no I/O."""
