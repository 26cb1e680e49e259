"""The tools process: calls MCP servers and HTTP endpoints. It may hang or die; nobody hears it."""
