"""The list of channels, and the page of a channel."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from alerts.channel_admin.form import form_of, setting_fields
from alerts.channels.kinds import KINDS
from alerts.channels.shown import counted, shown_of
from alerts.channels.writing import FIELDS, ChannelInUse, add_channel, change_channel, remove_channel
from alerts.delivery.trying import send_test
from alerts.marks import marked
from alerts.models import Channel
from llmmonitor.access.admin_site import Task
from llmmonitor.access.audit import log_action


@admin.register(Channel)
class ChannelAdmin(admin.ModelAdmin):
    """The place to configure where messages are sent."""

    list_display = ("name", "state", "what", "default", "last_sent", "waiting_messages", "dead_messages")
    search_fields = ("name", "id")

    class Media:
        css = {"all": ("dashboard/css/alerts-admin.css",)}

    task = Task(2, "Channels", "Where messages about alerts are sent.")

    def task_count(self) -> str:
        """Return the number of enabled channels."""
        return f"{Channel.objects.filter(enabled=True).count():,} of {Channel.objects.count():,} enabled"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        """Add the numbers of messages."""
        return counted(super().get_queryset(request))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Render the list."""
        return super().changelist_view(request, {"title": "Channels", **(extra_context or {})})

    @admin.display(description="Now")
    def state(self, channel: Any) -> str:
        """Return whether messages arrive."""
        problem = shown_of(channel)[1]
        if problem:
            return marked("critical", "■", problem)
        if not channel.enabled:
            return "– disabled"
        if channel.heartbeat_error:
            return marked("warning", "▲", channel.heartbeat_error)
        if channel.waiting_error:
            return marked("warning", "▲", f"tries again: {channel.waiting_error}")
        if channel.last_dead_at and (channel.last_sent_at is None or channel.last_sent_at < channel.last_dead_at):
            return marked("critical", "■", f"has given up: {channel.dead_error}")
        is_used = channel.heartbeat_at if channel.heartbeat_seconds else channel.last_sent_at
        first = "heartbeat" if channel.heartbeat_seconds else "alert"  # tests do not count
        return marked("ok", "●", "ok") if is_used else f"○ no {first} sent yet"

    @admin.display(description="Kind")
    def what(self, channel: Channel) -> str:
        """Return the kind, and what a person recognizes the channel by."""
        kind, shown = KINDS[channel.kind].title, shown_of(channel)[0]
        return f"{kind}: {shown}" if shown else kind

    @admin.display(description="Default")
    def default(self, channel: Channel) -> str:
        """Return whether it gets the messages of rules without channels of their own."""
        return "yes" if channel.is_default else "–"

    @admin.display(description="Last sent")
    def last_sent(self, channel: Any) -> str:
        """Return when the newest message or heartbeat was sent."""
        at = channel.heartbeat_at if channel.heartbeat_seconds else channel.last_sent_at
        return f"{at:%-d %b %Y %H:%M} UTC" if at else "–"

    @admin.display(description="Waiting")
    def waiting_messages(self, channel: Any) -> str:
        """Return the number of messages to send, with a link to them."""
        return _linked(channel, "waiting", channel.waiting)

    @admin.display(description="Given up")
    def dead_messages(self, channel: Any) -> str:
        """Return the number of messages that are not tried again, with a link to them."""
        return _linked(channel, "dead", channel.dead)

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the button."""
        view = self.admin_site.admin_view(require_POST(self.test_view))
        return [path("<slug:pk>/test/", view, name="alerts_channel_test"), *super().get_urls()]

    def test_view(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Send a test message, and return to the page of the channel with the result."""
        channel = get_object_or_404(Channel, pk=pk)
        reason = send_test(channel, timezone.now())
        log_action(request, "sent test by channel", f"{pk}: {reason or 'accepted'}")
        if reason is None:
            self.message_user(request, f"{channel} has accepted a test message.", messages.SUCCESS)
        else:
            self.message_user(request, f"{channel} has not accepted the test message: {reason}", messages.ERROR)
        return HttpResponseRedirect(reverse("admin:alerts_channel_change", args=(pk,)))

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Let the person choose a kind, then render its form."""
        if request.GET.get("kind") in KINDS:
            return super().add_view(request, *args, **kwargs)
        if not self.has_add_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Add a channel",
            "kinds": KINDS.values(),
            "media": self.media,
        }
        return TemplateResponse(request, "admin/alerts/channel/choose_kind.html", context)

    def get_form(self, request: HttpRequest, obj: Channel | None = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form of the kind."""
        return super().get_form(request, obj, change, form=form_of(_kind(request, obj), obj), **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Channel | None = None) -> Any:
        """Return the fields of every channel, then the settings of the kind."""
        kind = _kind(request, obj)
        common = ["name", "id", *(("state", "last_sent") if obj else ()), *FIELDS[3:]]
        settings = setting_fields(kind, obj)
        return [("Channel", {"fields": common})] + ([(KINDS[kind].title, {"fields": settings})] if settings else [])

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return the id of a stored channel, which rules refer to, and its state."""
        return ("id", "state", "last_sent") if obj else ()

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        """Return the fields from which the script of the admin writes the id of a new channel."""
        return {} if obj else {"id": ("name",)}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Name the channel, and leave one button to save."""
        obj = kwargs.get("obj")
        title = obj.name if obj else f"Add a channel: {KINDS[request.GET['kind']].title}"
        context |= {"title": title, "subtitle": None, "show_save_and_continue": False}
        context["show_save_and_add_another"] = False
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: bool) -> None:
        """Store the channel as the API does."""
        if not change:
            add_channel(form.values)
            log_action(request, "added channel", obj.pk)
        elif changed := change_channel(obj.pk, form.values):
            log_action(request, "changed channel", f"{obj.pk}: {', '.join(changed)}")

    def response_add(self, request: HttpRequest, obj: Channel, post_url_continue: str | None = None) -> HttpResponse:
        """Show the channel, to try it."""
        self.message_user(request, f"{obj} was added. Send a test to see whether messages arrive.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:alerts_channel_change", args=(obj.pk,)))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Channels are deleted on their pages, which report why one cannot be."""
        return {}

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """Ask before the channel is deleted, unless rules name it."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except ChannelInUse as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:alerts_channel_change", args=(object_id,)))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Count the messages instead of listing them."""
        number = sum(channel.deliveries.count() for channel in objs)
        counts = {"channels": len(objs), **({"messages": number} if number else {})}
        return [str(channel) for channel in objs], counts, set(), []

    def delete_model(self, request: HttpRequest, obj: Channel) -> None:
        """Delete the channel. Raises ChannelInUse."""
        remove_channel(obj.pk)
        log_action(request, "removed channel", obj.pk)


def _kind(request: HttpRequest, channel: Channel | None) -> str:
    return channel.kind if channel else request.GET["kind"]


def _linked(channel: Channel, state: str, number: int) -> str:
    if not number:
        return "–"
    query = urlencode({"state__exact": state, "channel__id__exact": channel.pk})
    return format_html('<a href="{}?{}">{}</a>', reverse("admin:alerts_delivery_changelist"), query, f"{number:,}")
