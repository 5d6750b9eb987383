"""The suites as tests, which run wherever the package is installed: ``pytest --pyargs harness.suites``."""
