"""Runs the phases of a sweep: controller, recovery, limits, in this process or, in `ray`, on a cluster.

Imports all rooms below but reports and analysis.
"""
