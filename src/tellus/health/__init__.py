"""Component health: contactors, fans, temperatures, isolation, inverters, as chargers report them.

What comes with a sample is kept with it. Its extremes by the minute and by the hour outlive the
sample: they show trends, and when a part will have reached its rated life.
"""
