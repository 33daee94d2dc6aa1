"""Work in chunks, on one machine or many, into a store that survives interruption."""
