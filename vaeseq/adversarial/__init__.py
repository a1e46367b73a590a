"""Discriminators, and the policy gradient that a sequence model gets from them."""
