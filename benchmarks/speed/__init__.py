"""What a run costs: beside a loop of the peers, of one method more, beside its floor, and as it grows.

    python -m benchmarks.speed                       # all of it
    python -m benchmarks.speed more floor            # parts: whole, more, floor, growth

Every figure is of CPU seconds of processes of one thread, and a ratio within one call: what is compared runs in turn,
once each, since runs take minutes. ``--write docs/speed.md`` puts the table there.
"""
