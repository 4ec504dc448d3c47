"""Every code block of the documents: run by a test as it was printed, or left out for a reason.

The documents are other people's, and not kept here; each block is known by its digest. Who has them puts the name
of their folder into the environment variable SEED_DOCUMENTS, and sees that no block is missing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.seeds import conftest
from tests.seeds import test_getting_started as started
from tests.seeds import test_introduction as introduction
from tests.seeds import test_oldest_document as oldest
from tests.seeds import test_todays_channels as today
from tests.seeds.documents import code_blocks, digest, plain


@dataclass(frozen=True)
class Run:
    """A block that the project runs.

    Arguments:
        digest: of the block as printed.
        code: what is run.
        test: which does that.
        corrections: what was printed for what in ``code``.
    """

    digest: str
    code: str
    test: Callable[..., None]
    corrections: tuple[tuple[str, str], ...] = ()

    def printed(self) -> str:
        text = plain(self.code)
        for corrected, printed in self.corrections:
            assert text.count(corrected) == 1
            text = text.replace(corrected, printed)
        return text


@dataclass(frozen=True)
class NotRun:
    """A block that cannot be run, and why."""

    digest: str
    why: str


Block = Run | NotRun

INSTALLS_ANOTHER = "it installs Channels 4, which tests/channels_4.py does"

BLOCKS: dict[str, list[Block]] = {
    "000": [
        Run("946326c5db62", oldest.CONSUMERS, oldest.test_a_consumer_for_every_request),
        Run("757ab56e54eb", oldest.TO_BE_WRITTEN, oldest.test_without_it_django_has_its_page_again),
    ],
    "001": [
        Run("9271a57ec11b", introduction.INSTALL, introduction.test_its_install_command_brings_django),
        Run("fa02df8be3e1", introduction.CREATE_A_PROJECT, introduction.test_an_echo_server),
        Run("0ab75297d3c4", introduction.GO_THERE, introduction.test_an_echo_server),
        Run("7c3cb60657de", introduction.CREATE_AN_APP, introduction.test_an_echo_server),
        Run("95e44f2c85a1", introduction.INSTALLED_APPS, introduction.test_an_echo_server),
        Run("db7eef88a4c8", introduction.CONSUMERS, introduction.test_an_echo_server),
    ],
    "002": [
        NotRun("bdfe19d46420", INSTALLS_ANOTHER),
        Run("9b4e066ecad8", today.SETTINGS, today.test_daphne_with_a_classic_project),
        Run("94d752c3b900", today.ROUTER, today.test_sockets_of_channels_4_and_ours),
        Run("fbd1bdd085c2", today.WEBSOCKET_ROUTING, today.test_sockets_of_channels_4_and_ours),
        Run("76ceab03e8b5", today.CHAT, today.test_sockets_of_channels_4_and_ours),
        NotRun("884bf1802eed", "it has the routing of WebSockets among the URLs of views, which Django refuses"),
        Run("cf9156df2fe4", today.COMMAND, today.test_daphne_with_a_classic_project),
        Run("8a609291f514", today.WEBSOCKET_CONSUMER, today.test_sockets_of_channels_4_and_ours),
        Run("8b210b4b54c6", today.ASYNC_WEBSOCKET_CONSUMER, today.test_sockets_of_channels_4_and_ours),
        Run("ef973733320f", today.SYNC_CONSUMER, today.test_events_on_a_channel_of_our_layer),
        Run("ce43a993f86f", today.ASYNC_CONSUMER, today.test_events_on_a_channel_of_our_layer),
    ],
    "003": [
        Run(
            "ebb3372ec8b5", started.TestFirstConsumers.HTTP_CONSUMER, started.TestFirstConsumers.test_every_request
        ),
        Run(
            "7e77fadf827a",
            plain(conftest.IN_MEMORY) + "\n" + plain(started.TestFirstConsumers.HTTP_ROUTING),
            started.TestFirstConsumers.test_every_request,
        ),
        Run("82d6e728cd33", started.TestFirstConsumers.ECHO, started.TestFirstConsumers.test_echo),
        Run("c371d8c35787", started.TestFirstConsumers.ECHO_ROUTING, started.TestFirstConsumers.test_echo),
        Run("bad3920a1705", started.JAVASCRIPT, started.TestFirstConsumers.test_echo),
        Run("2381135c8030", started.TestGroups.ADD_AND_DISCARD, started.TestGroups.test_coming_and_going),
        Run("4c7766fc19df", started.TestGroups.CHAT, started.TestGroups.test_chat),
        Run("b1521e4c33d9", started.TestGroups.CHAT_ROUTING, started.TestGroups.test_chat),
        Run("edf7ae32dbaa", started.JAVASCRIPT, started.TestGroups.test_chat, (("for routing;", "right now;"),)),
        Run("f0cfa1b0afee", started.TestRunningWithChannels.REDIS, started.TestRunningWithChannels.test_runserver),
        Run("8620840a69d2", started.TestPersistingData.CONSUMERS, started.TestPersistingData.test_rooms),
        Run(
            "df17228e694f",
            started.TestAuthentication.CONSUMERS,
            started.TestAuthentication.test_cookies,
            (("from channels.auth import channel_session_user_from_http\n", ""),),
        ),
        Run(
            "d4ec8058dfdc",
            started.TestAuthentication.JAVASCRIPT,
            started.TestAuthentication.test_the_key_in_the_address,
        ),
        Run(
            "b5c6fef6f834",
            started.TestModels.CONSUMERS,
            started.TestModels.test_saved_and_broadcast,
            (
                ("import Channel, Group\n", "import Channel\n"),
                ("    room = message.content['room']\n", ""),
                ("\"text\": message.content['message']", "\"content\": message.content['message']"),
                ('"room": message.channel_session', '"room": channel_session'),
                ("\"message\": message.content['text']", '"message": content'),
            ),
        ),
        Run("112de6a3df58", started.TestEnforcingOrdering.SLIGHT, started.TestEnforcingOrdering.test_slight),
        Run("3a7eb68641bc", started.TestEnforcingOrdering.STRICT, started.TestEnforcingOrdering.test_strict),
    ],
    "004": [
        Run("5e04b95be094", today.IN_A_SHELL, today.test_the_layer_in_a_shell),
        NotRun("b29373283e57", INSTALLS_ANOTHER),
    ],
}
"""By the number of the document, in the order of their blocks."""


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=f"{document}-{number}")
        for document, blocks in BLOCKS.items()
        for number, block in enumerate(blocks, 1)
    ],
)
def test_block(block: Block) -> None:
    """What is run is what was printed."""
    if isinstance(block, NotRun):
        pytest.skip(block.why)
    else:
        assert digest(block.printed()) == block.digest


def test_no_block_is_missing() -> None:
    folder = os.environ.get("SEED_DOCUMENTS")
    if folder is None:
        pytest.skip("SEED_DOCUMENTS does not say where the documents are.")
    found = {
        file.name[:3]: [digest(code) for code in code_blocks(file.read_text())] for file in Path(folder).iterdir()
    }
    assert found == {document: [block.digest for block in blocks] for document, blocks in BLOCKS.items()}
