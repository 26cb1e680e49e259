"""Voices: the provider contract, the registry, and one module for each service."""
