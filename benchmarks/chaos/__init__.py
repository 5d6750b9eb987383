"""Does harm to small runs and counts what survives: ``make chaos``, or ``python -m benchmarks.chaos [PART]...``.

kills
    ``kill -9`` at random moments of a run, figures and page included; then the same command must end with the same
    digests as a run that nobody disturbed.
damage
    A file of the cache cut, emptied, bit-flipped, replaced or removed; then likewise.
stale
    The network, what it reads, its map layer, an explainer, its helper or its data edited; the same folder must then
    hold what a new one would.
neighbours
    An explainer that exits, hangs or changes what belongs to all; the others' scores must keep every bit.
inputs
    Pictures, tables, weights, subjects, explainers, options, names and run folders, generated and spoilt; each must end
    in one line and status 2, or, where it is harmless, in what it would have given: never in a traceback.

Every trial runs the command line in a process of its own, forked from this one, which has run no network yet.
"""
