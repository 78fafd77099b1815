"""The REST API. A module is named after the first part of the paths that it serves; `lists` serves the lists of rows.

`openapi` describes the API, and `error_handlers` turns exceptions into error responses.
"""
