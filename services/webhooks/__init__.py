"""Webhooks: calls the URLs that teams gave with their jobs, signed, until they answer."""
