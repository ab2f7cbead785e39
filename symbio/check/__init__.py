"""`symbio check`: everything that is wrong with a raw folder, found before any work is done."""
