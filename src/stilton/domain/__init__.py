"""Facts: values and decisions. No clock, no network, no database, no framework."""
