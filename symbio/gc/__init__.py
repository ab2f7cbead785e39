"""`symbio gc`: what no version, no branch and no run under way needs goes; the rest stays."""
