"""The vendors' own packages, imported with their own deprecations passed over.

Test extras; where one is missing its tests are skipped, and say so.
"""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

import pytest


def package(name: str) -> ModuleType:
    """Return a vendor's module; skip the test module where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            reason = f"the vendor's own client is not installed: {error.name}"
            pytest.skip(reason, allow_module_level=True)
