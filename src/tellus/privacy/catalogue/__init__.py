"""The record of processing, as data: every table and what is in it."""
