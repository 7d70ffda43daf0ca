"""The command line, a file for each kind of thing that its commands are about.

Rooms are imported inside the commands: torch, ray and pandas cost seconds, and `table` needs no torch.
"""
