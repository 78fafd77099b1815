"""The OpenAPI document of the API: descriptions of the views, schemas of requests and responses, `/schema` and `/docs`.

Only `views` imports drf-spectacular. The server imports it when `/schema` or `/docs` is first opened.
"""
