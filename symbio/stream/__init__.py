"""Prepared shards and labels read from the DVC remote while training asks for them."""
