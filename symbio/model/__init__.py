"""The network: encoder, decoder, symbiosis, heads."""
