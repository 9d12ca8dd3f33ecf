"""The room's only SQL. Rows that decide rights carry a MAC; each is checked when it is read, and a forged one raises Unsealable."""
