"""The networks, measurements and exercise checks of the book."""
