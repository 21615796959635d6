"""Privacy: what is held about whom, what is held of one vehicle, and having it forgotten.

The *record of processing* says of every table and column what it is for, whom it is about, how long
it is kept, who gets it and where it is erased. A *subject* is one vehicle of one operator; what is
held of it is exported as one document. A *mention* is a text in which a vehicle's masked number
stands; it goes when the vehicle is erased.
"""
