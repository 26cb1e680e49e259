"""The web door: HTTP/1.1 on [web]."""

TOKEN = "web"
"""What the token of senders from elsewhere is kept as, beside the keys of the voice services."""
