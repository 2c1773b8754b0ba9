"""Checks of `vedette doctor`: each tests one property of the machine and gives advice."""
