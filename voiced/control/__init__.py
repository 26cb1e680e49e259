"""The mind's process: every door to the outside, and the hands' supervision."""
