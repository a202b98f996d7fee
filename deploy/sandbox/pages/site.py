"""placeholder"""

from __future__ import annotations


def attach(application, standin): ...
