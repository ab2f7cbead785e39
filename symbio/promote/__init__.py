"""Which version is the champion."""
