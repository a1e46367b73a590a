"""Discriminators and the policy gradient."""
