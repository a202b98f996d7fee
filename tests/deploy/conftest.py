"""Fixtures of the stand-in's own tests."""

from tests.deploy.receiver import receiver

__all__ = ["receiver"]
