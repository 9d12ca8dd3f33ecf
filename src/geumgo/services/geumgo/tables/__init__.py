"""The migrations of the room geumgo."""
