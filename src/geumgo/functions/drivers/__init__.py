"""Modules that functions may import under the names of drivers that cannot be shipped: they stand in the sandbox, not in the server."""
