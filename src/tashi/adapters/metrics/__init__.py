"""What daemons measure, on its way to monitoring systems: one file for each of these."""
