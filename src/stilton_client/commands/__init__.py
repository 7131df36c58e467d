"""One room a command: options in, requests out, words back."""
