"""The OpenAPI document, made from the route tables: ``document.build_document``."""
