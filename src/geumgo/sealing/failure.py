"""The one refusal of authenticated encryption."""


class Unsealable(Exception):
    """The ciphertext, its key or its context is not the one that was sealed. Says nothing about which."""
