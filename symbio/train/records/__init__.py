"""What a run leaves in files: metrics, frames seen, status, measurements."""
