"""The package beside the libraries that one would otherwise use: `python -m benchmarks`, or `make benchmark`."""
