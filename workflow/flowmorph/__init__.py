"""Morph one data set into another with normalizing flows (arXiv:2309.06472)."""
