"""The entropy service: sources, health tests, pool, generator, reports and the beacon."""
