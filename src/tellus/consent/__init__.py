"""Consent: what the owner of a charger has agreed that this platform may do with it.

A *consent* covers a device, a site or a whole operator; it names who granted it, for which
*services*, on which evidence, from when and until when. Consents are never changed, only *revoked*,
and never deleted, so that what was agreed to at any time can be told. The services of a device at
an instant are those of all consents that cover it then.
"""
