"""What a run shows of itself: where the time goes, memory, the progress line, a trace."""
