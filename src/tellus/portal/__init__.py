"""The customer's portal: whose chargers they are sees what is agreed to, who read, and ends it.

A portal is a client of an operator that is bound to a *customer*, as consents name customers. What
the customer's own consents cover, or covered, is there for it; everything else is absent.
"""
