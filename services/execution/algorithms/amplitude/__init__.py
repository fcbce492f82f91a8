"""amplitude.option_pricing.v1: European options by amplitude estimation."""
