"""Excursions: the intervals in which a channel lies beyond a limit, with or without an alarm. Pure.

``ledger`` takes scans and gives records; ``track`` follows one interval, ``segment`` measures what
lies between two readings, ``budget`` adds records up, ``kinetic`` is the mean kinetic temperature.
"""
