"""Scores of a map: pure functions on arrays, one number an image, NaN where there is none.

Nothing here runs a network. Its answers, where a metric needs them, are arguments.
"""
