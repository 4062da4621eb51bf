"""Activation Lab from outside: client and command line. They speak HTTP; the server is not needed here."""

from actlab.client import Lab
from actlab.errors import LabError

__all__ = ["Lab", "LabError"]
