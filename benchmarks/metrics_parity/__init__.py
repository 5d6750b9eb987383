"""Compare the metrics with Quantus 0.6, captum, scipy, scikit-learn and scikit-image on the same maps and network.

``python -m benchmarks.metrics_parity`` prints a markdown table: metric, reference, largest absolute
difference, largest score, note.
A comparison whose reference is not installed is left out. The network's answers are measured here, apart from
Quantus, so that a wrong protocol shows as well as a wrong formula. All is in double precision, and the network smooth,
so that rounding flips nothing: what a comparison may differ by follows from the arithmetic (`Comparison.within`).
"""
