"""What every part speaks: errors, identifiers, time, paging, versions and the call.

Pure: imports the standard library and msgspec, and nothing of ours.
"""
