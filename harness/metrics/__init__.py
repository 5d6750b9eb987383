"""Scores of a map: pure functions on arrays, one number an image, NaN where there is none.

Nothing here runs a network. Its answers, where a metric needs them, are arguments. What a metric is stands beside it,
in ``@metric``; :func:`harness.metrics.cards.metric_cards` lists all.
"""

from importlib import import_module

from harness.metrics.cards import FAMILIES

for _family in FAMILIES:  # a card is there once its file has been read
    import_module(f"harness.metrics.{_family}")
