"""Faults for `scripts/inject_faults`, and what it shares with `scripts/kill_and_resume`."""
