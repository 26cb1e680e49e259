"""The OSC door: UDP and TCP on one port, strict about packets, kind about everything else."""
