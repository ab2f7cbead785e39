"""What a frame is, how frames are stored, ordered, augmented and mixed."""
