"""Alerts: what needs somebody's attention, from its opening to its end.

Who finds something reports a finding; one alert is open per matter, however often it is found. What
is the case (the condition) and what somebody has done about it (the status) are told apart. Alerts
go out to webhooks and to the stream.
"""
