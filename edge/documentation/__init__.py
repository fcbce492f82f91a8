"""The documentation that the edge serves: the OpenAPI document, two viewers of it, and a page for each error."""
