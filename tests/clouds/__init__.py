"""A daemon and the emulated services: whole conversations, driven and observed by OSC."""
