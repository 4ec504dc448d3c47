"""``DelayedMessage``, and the table that it has in common with Channels 1."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any
from unittest import mock

import pytest
from django.apps import apps
from django.core.management import call_command
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from channels_classic import channel_layers
from channels_classic.delay.models import DelayedMessage, DelayedMessageQuerySet, dump_content, load_content
from channels_classic.test import ChannelTestCase


def store(channel: str = "later", delay: float = 0, **content: Any) -> DelayedMessage:
    return DelayedMessage.objects.create(delay=delay, channel_name=channel, content=json.dumps(content))


class TestDelayedMessage(ChannelTestCase):
    def test_is_due(self) -> None:
        message = store(delay=5000)
        assert 4000 < message.delay <= 5000
        assert not DelayedMessage.objects.is_due().exists()
        with mock.patch("django.utils.timezone.now", return_value=message.due_date):
            assert DelayedMessage.objects.is_due().get() == message

    def test_send(self) -> None:
        store(a=1).send()
        assert self.get_next_message("later", require=True).content == {"a": 1}
        store(a=2).send(channel_layer=channel_layers["default"])
        assert self.get_next_message("later", require=True).content == {"a": 2}
        assert not DelayedMessage.objects.exists()

    def test_send_to_a_full_channel(self) -> None:
        layer = channel_layers["default"]
        for _ in range(layer.capacity):
            layer.send("later", {})
        message = store()
        message.send(requeue_delay=60_000)
        assert 50_000 < DelayedMessage.objects.get().delay <= 60_000

    def test_begin_sending(self) -> None:
        for number in range(5):
            store(number=number, delay=-60_000 * number)
        store(number=5, delay=60_000)
        with self.assertNumQueries(5):  # savepoint, lock, select, update, release
            begun = DelayedMessage.objects.begin_sending(3)
        assert [load_content(message.content)["number"] for message in begun] == [4, 3, 2]
        assert len(DelayedMessage.objects.begin_sending(3)) == 2
        assert DelayedMessage.objects.begin_sending(3) == []
        assert DelayedMessage.objects.waiting().count() == 1
        assert DelayedMessage.objects.count() == 6

    def test_unsure(self) -> None:
        for number in range(3):
            store(number=number)
        begun = DelayedMessage.objects.begin_sending(2)
        assert not DelayedMessage.objects.unsure().exists()
        with mock.patch("django.utils.timezone.now", return_value=timezone.now() + timedelta(seconds=61)):
            assert list(DelayedMessage.objects.unsure().order_by("pk")) == begun
            assert DelayedMessage.objects.unsure().wait_again() == 2
        assert DelayedMessage.objects.is_due().count() == 3
        assert DelayedMessage.objects.filter(pk=begun[0].pk).wait_again(60_000) == 1
        assert DelayedMessage.objects.is_due().count() == 2

    def test_a_message_that_another_server_takes_meanwhile(self) -> None:
        """Even without locks in the database, nothing is sent twice, and the next attempt finds the rest."""
        messages = [store(number=number) for number in range(3)]

        class Raced(DelayedMessageQuerySet):
            def update(self, **changes: Any) -> int:
                if "sending_since" in changes:
                    DelayedMessageQuerySet(DelayedMessage).filter(pk=messages[1].pk).delete()
                return super().update(**changes)

        assert Raced(DelayedMessage).begin_sending(10) == []
        assert DelayedMessage.objects.waiting().count() == 3
        assert len(DelayedMessage.objects.begin_sending(10)) == 3


class TestTheTable(ChannelTestCase):
    def test_its_name_is_the_old_one(self) -> None:
        assert apps.get_app_config("delay").name == "channels_classic.delay"
        assert DelayedMessage._meta.db_table == "delay_delayedmessage"
        assert {field.name: field.get_internal_type() for field in DelayedMessage._meta.fields} == {
            "id": "AutoField",
            "due_date": "DateTimeField",
            "channel_name": "CharField",
            "content": "TextField",
            "sending_since": "DateTimeField",  # an old server, which does not know it, can store messages
        }
        assert DelayedMessage._meta.get_field("sending_since").null

    def test_there_is_nothing_to_migrate(self) -> None:
        output = StringIO()
        call_command("makemigrations", "delay", "--check", "--dry-run", stdout=output)
        assert "No changes detected" in output.getvalue()


SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS | st.binary(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


@given(st.dictionaries(st.text(), VALUES))
def test_content_comes_back_as_it_was(content: dict[str, Any]) -> None:
    text = dump_content(content)
    assert load_content(text) == content
    assert "\0" not in text  # which PostgreSQL cannot store


def test_content_without_bytes_is_json() -> None:
    """So we can read rows of Channels 1, and the other way round."""
    assert json.loads(dump_content({"text": "hi", "list": [1, None]})) == {"text": "hi", "list": [1, None]}
    for text in ("msgpack:x", "no json", "msgpack:kQ=="):
        with pytest.raises(ValueError):
            load_content(text)


def test_a_delay_is_from_now() -> None:
    now = timezone.now()
    with mock.patch("django.utils.timezone.now", return_value=now):
        assert DelayedMessage(delay=1500, channel_name="x", content="{}").due_date == now + timedelta(seconds=1.5)
