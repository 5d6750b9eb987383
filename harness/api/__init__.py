"""What is called from Python: an evaluation, its run, and checks in somebody else's tests."""
