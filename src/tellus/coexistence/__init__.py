"""The second channel is the customer's: who read what of a device, and what they can do about it.

Every read of device data is counted by reader, device, kind of data and day. The first of a day is
on disk before it is answered, so that nobody reads unseen; the others are counted in memory and
added up every few seconds.
"""
