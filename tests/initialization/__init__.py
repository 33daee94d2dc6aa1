"""Initialization: closed form, into modules, as source text."""
