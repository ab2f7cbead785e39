"""What one branch hears of the other: a file for each kind of exchange, and their names."""
