"""What is measured of the project itself: agreement with other packages, error rates, planted faults, portability."""
