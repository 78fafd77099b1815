"""The address of the page of one model."""

from __future__ import annotations

from urllib.parse import urlencode

from django.urls import reverse

DOTS = (".", "..")  # a browser removes such a part of a path, also where it is encoded


def has_page(name: str) -> bool:
    """Return whether the model has a page of its own. The Models page shows the card of one that has none."""
    return name not in DOTS


def model_url(name: str, query: str = "") -> str:
    """Return the address of the page of a model, or of its card. `query`: `?range=1h`, or empty."""
    if has_page(name):
        return reverse("model-page", args=[name]) + query
    return f"{reverse('models-page')}?{urlencode({'open': name})}{query.replace('?', '&', 1)}"
