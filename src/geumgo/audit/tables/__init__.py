"""The trail's migrations."""
