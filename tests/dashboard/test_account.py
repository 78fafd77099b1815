"""The account in the header of the pages."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

pytestmark = pytest.mark.django_db


class TheHeader:
    def test_leads_a_visitor_to_the_login_and_back_to_the_page(self) -> None:
        html = (
            Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1").get("/dashboard/queue/?range=6h").content.decode()
        )
        assert 'href="/login/?next=/dashboard/queue/%3Frange%3D6h"' in html
        assert "Sign out" not in html

    def test_names_the_user_and_signs_out(self) -> None:
        client = Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")
        client.force_login(User.objects.create_superuser("ada"))
        html = client.get("/dashboard/queue/").content.decode()
        assert "Signed in as <b><bdi>ada</bdi></b>" in html
        assert 'action="/logout/"' in html
        assert 'class="sign-in"' not in html
