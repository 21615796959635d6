"""Runbooks that run: ordered steps, each verified from data or answered by a person.

The steps are data (``catalogue``). A run is stored with its verdicts, who gave them, and the
evidence that each check read; it ends resolved, or escalated with a bundle of evidence.
"""
