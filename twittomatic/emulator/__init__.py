"""A twin of the remote API over HTTP, for demonstrations, tests and measurements without keys."""

from twittomatic.emulator.faults import CredentialPlan, FaultPlan
from twittomatic.emulator.server import Emulator, EmulatorOptions, run

__all__ = ["CredentialPlan", "Emulator", "EmulatorOptions", "FaultPlan", "run"]
