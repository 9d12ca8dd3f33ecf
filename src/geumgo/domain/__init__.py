"""Rules, pure: no clock, no I/O, no randomness. The same values in always give the same answer out."""
