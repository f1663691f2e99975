"""What commands do that no single function of the library does."""
