"""Looks at every dependency and setting, and says what to do about each that is not as it must be. Changes nothing."""

from pointsman.doctor.findings import Finding, Verdict, worst

__all__ = ["Finding", "Verdict", "worst"]
