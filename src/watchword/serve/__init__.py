"""A local page to try keywords on, and the WebSocket behind it."""
