"""What is wrong with a charger, and what to do about it.

The fault dictionary (``catalogue``) is data: what each code means, how it shows, what causes it,
what to do, in which firmware it is known. It is checked when the platform starts.
"""
