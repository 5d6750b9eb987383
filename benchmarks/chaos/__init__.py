"""Does harm to small runs and counts what survives: ``make chaos``, or ``python -m benchmarks.chaos [PART]...``.

kills
    ``kill -9`` at random moments of a run, figures and page included; then the same command must end with the same
    digests as a run that nobody disturbed.
nodes
    A node of a cluster of Ray, three on this machine, killed at a random moment; then likewise. Needs Ray.
damage
    A file of the cache cut, emptied, bit-flipped, replaced or removed; then likewise.
stale
    The network, what it reads, its map layer, an explainer, its helper or its data edited; the same folder must then
    hold what a new one would.
neighbours
    An explainer that exits, hangs, eats memory, crashes its interpreter or changes what belongs to all; the others'
    scores must keep every bit.
inputs
    Pictures, tables, weights, subjects, explainers, options, names and run folders, generated and spoilt; each must end
    in one line and status 2, or, where it is harmless, in what it would have given: never in a traceback.

attacks
    Files and names that were made to run code, to lie to a terminal, a table or a page, to fill memory or to hang.
fuzz
    Bytes that a fuzzer makes, guided by the branches that they reach, for what reads csv, npz, pictures, weights,
    run.json, pieces and tables; each must be read or be refused in one line. Needs atheris.

What a part needs and is not there is said in one line; such a part counts as not run.

Every trial runs the command line in a process of its own, forked from this one, which has run no network yet.
"""
