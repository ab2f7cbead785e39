"""Several networks side by side, where they were measured alike."""
