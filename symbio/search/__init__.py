"""Which params are best: searches and ablations, both as studies of whole trainings."""
