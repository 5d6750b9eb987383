"""Compare the explainers with captum, lime, zennit, pytorch-grad-cam and saliency on real networks and faces.

``python -m benchmarks.explainers_parity`` prints a markdown table: explainer, reference, and for each network the
largest difference over rendered faces and photographs, as a share of the reference's largest value; then the same where
a difference is meant, with the reason. Networks run in double precision, and in single for the last column: there a
unit that rounding puts on the other side of its kink, or a sum that cancels, moves a map that is otherwise the same.
What two may differ by follows from the arithmetic (`Comparison.within`), not from what one processor showed.
A network or package that is not there is left out and said so.
"""

import sys
from pathlib import Path

# References that the tests of explainers share.
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "explainers"))
