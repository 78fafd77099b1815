"""The list of messages to channels, and trying those again that were given up."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html

from alerts.channels.words import summary_of, title_of
from alerts.delivery.composing import message_of
from alerts.delivery.sending import retry
from alerts.marks import marked
from alerts.models import Delivery
from llmmonitor.access.admin_site import ReadOnlyAdmin
from llmmonitor.access.audit import log_action

MARKS = {
    Delivery.State.WAITING: ("warning", "△"),
    Delivery.State.SENT: ("ok", "●"),
    Delivery.State.DEAD: ("critical", "■"),
    Delivery.State.MERGED: ("info", "○"),
}


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """The messages, newest first."""

    list_display = ("created", "state_in_words", "channel", "about", "attempts", "next_or_end", "error")
    list_filter = ("state", "channel")
    list_select_related = ("channel",)
    search_fields = ("rule_id", "last_error")
    actions = ("retry",)
    fields = ("channel", "text", "state_in_words", "attempts", "next_or_end", "error", "created", "id")
    readonly_fields = fields

    class Media:
        css = {"all": ("dashboard/css/alerts-admin.css",)}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Render the list."""
        return super().changelist_view(request, {"title": "Messages", **(extra_context or {})})

    @admin.action(description="Try the selected messages again")
    def retry(self, request: HttpRequest, chosen: QuerySet[Delivery]) -> None:
        """Try dead messages again."""
        retried = [delivery for delivery in chosen if retry(delivery.pk, timezone.now())]
        for delivery in retried:
            log_action(request, "retried message", f"{delivery.pk} of channel {delivery.channel_id}")
        count = f"{len(retried)} message{'' if len(retried) == 1 else 's'}"
        others = "" if len(retried) == len(chosen) else " Only messages that were given up are."
        self.message_user(
            request, f"{count} will be tried again.{others}", messages.SUCCESS if retried else messages.WARNING
        )

    @admin.display(description="State", ordering="state")
    def state_in_words(self, delivery: Delivery) -> str:
        """Return the state."""
        colour, glyph = MARKS[Delivery.State(delivery.state)]
        return marked(colour, glyph, delivery.get_state_display().lower())

    @admin.display(description="Last error")
    def error(self, delivery: Delivery) -> str:
        """Return why the last attempt failed."""
        return delivery.last_error or "–"

    @admin.display(description="About")
    def about(self, delivery: Delivery) -> str:
        """Return the kind, and the rule of which it is."""
        return str(delivery)

    @admin.display(description="Created", ordering="created_at")
    def created(self, delivery: Delivery) -> str:
        """Return when it was created."""
        return f"{delivery.created_at:%-d %b %Y %H:%M:%S} UTC"

    @admin.display(description="Next attempt or end")
    def next_or_end(self, delivery: Delivery) -> str:
        """Return when it is tried next, or was sent or given up."""
        if delivery.state == Delivery.State.WAITING:
            # Due, and not sent yet: after the earlier ones of its rule, or when the limit of its channel allows it.
            when = "next at" if delivery.next_attempt_at > timezone.now() else "due since"
            return f"{when} {delivery.next_attempt_at:%-d %b %H:%M:%S} UTC"
        return f"{delivery.ended_at:%-d %b %H:%M:%S} UTC" if delivery.ended_at else "–"

    @admin.display(description="Message")
    def text(self, delivery: Delivery) -> str:
        """Return the title and the lines of the message."""
        message = message_of(delivery)
        if not message.alerts:
            return "–"
        lines = [title_of(message), *([summary_of(message)] if len(message.alerts) > 1 else [])]
        return format_html('<span class="message-text">{}</span>', "\n".join(lines))
