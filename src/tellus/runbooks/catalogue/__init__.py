"""Runbooks as data, one file each; they are checked at the start by ``runbooks.library``."""
