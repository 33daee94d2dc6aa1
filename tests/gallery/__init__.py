"""The gallery: its entries, its numbers, its pages."""
