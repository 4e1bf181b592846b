"""Training: one step and the plain loop around it."""
