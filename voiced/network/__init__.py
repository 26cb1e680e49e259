"""The network process: provider connections, the upload, replies into the speaker ring."""
