"""A daemon that gives an interactive installation a voice."""

__version__ = "0.1.0"
