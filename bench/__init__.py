"""What voiced costs and how fast it is, beside a 40-line script on the same devices."""
