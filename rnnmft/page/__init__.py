"""What a self-contained page is made of: its skeleton and style, equations, figures. No theory."""
