"""The camera process: runs while a session looks through a camera, and no longer.

OpenCV waits for devices in compiled code, for as long as they like: here that holds up nobody. It
has neither keys nor anything of the conversation.
"""
