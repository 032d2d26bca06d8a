"""The HTTP API's operations, one noun a file: typed functions that the web admin's pages call too."""
