"""What runs inside the sandbox: nothing but the standard library, no secret of the server, bound there read-only."""
