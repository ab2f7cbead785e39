"""A registered model's package as a folder on this machine."""
