"""Energy that can be billed: what each session moved, and what sites and operators did by the hour.

The facts are samples, events and charging records. A pure fold (``rules_fold``) turns a connector's
facts into sessions with their energy by the minute; the record, once there is one, settles the sum.
The folder does that in the background for what is new, and again for what came late: ingest leaves
a mark. Each session adds its minutes to its site and its operator, and takes them away again before
it is folded anew, in whole numbers, so that the sums hold exactly. Queries read those sums and fold
the last minute of facts, the tail, themselves.
"""
