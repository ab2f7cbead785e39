"""The verb `reproduce`: a registered version is made again, and compared stage by stage."""
