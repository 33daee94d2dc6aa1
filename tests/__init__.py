"""The test suite: mirrors the package, one test file for each of its files."""
