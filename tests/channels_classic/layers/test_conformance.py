"""The conformance suite itself: that it finds what is wrong, and runs for other people's layers."""

import re
import subprocess
import sys
import textwrap
import unittest

import pytest

from channels_classic.layers import InMemoryChannelLayer, classic
from channels_classic.layers.conformance import ConformanceTests, harness
from tests.channels_classic.layers import broken


def run(layer_class, test, **members):
    """Run one test of the suite on a layer."""

    def make_layer(self, **config):
        return layer_class(**config)

    suite = type("Suite", (ConformanceTests, unittest.TestCase), {"make_layer": make_layer, **members})
    result = unittest.TestResult()
    suite(test).run(result)
    assert result.testsRun == 1
    return result


@pytest.mark.parametrize(
    ("layer_class", "test"),
    [
        (broken.LastInFirstOut, "test_messages_come_once_and_in_order"),
        (broken.LastInFirstOut, "test_one_reader_sees_the_order_of_each_sender"),
        (broken.Bottomless, "test_a_full_channel_refuses"),
        (broken.OneCapacityForAll, "test_particular_channels_have_their_own_capacities"),
        (broken.LastMatchWins, "test_the_first_match_wins"),
        (broken.RoomPerClient, "test_the_clients_of_a_process_share_one_capacity"),
        (broken.LooksThenTakes, "test_senders_at_the_same_time_do_not_exceed_it"),
        (broken.OldMessagesToo, "test_an_old_message_is_never_delivered"),
        (broken.OldMessagesToo, "test_an_old_message_to_a_group_is_never_delivered"),
        (broken.OldMessagesTakeRoom, "test_old_messages_take_no_room"),
        (broken.YoungAgain, "test_a_message_given_back_keeps_its_age"),
        (broken.MembersForEver, "test_a_membership_ends"),
        (broken.MembersNotRenewed, "test_a_membership_lasts_when_it_is_added_again"),
        (broken.FirstChannelFirst, "test_busy_channels_do_not_starve_a_quiet_one"),
        (broken.FirstChannelFirst, "test_busy_channels_do_not_starve_a_quiet_one_in_batches"),
        (broken.FirstChannelFirst, "test_a_large_batch_is_shared"),
        (broken.FullMembersRaise, "test_a_full_member_is_skipped"),
        (broken.GroupsTwice, "test_a_member_is_a_member_once"),
        (broken.OneMemberPerProcess, "test_every_kind_of_channel_can_be_a_member"),
        (broken.OneMemberPerProcess, "test_a_broadcast_to_many_members"),
        (broken.AnyNameToReceive, "test_receive_refuses_bad_names"),
        (broken.NamesOfQueues, "test_a_process_gets_the_messages_of_all_its_clients"),
        (broken.SameNameAgain, "test_new_channel_makes_names_that_no_one_uses"),
        (broken.BytesAreText, "test_every_kind_of_value_arrives_as_it_was"),
        (broken.KeepsTheDict, "test_later_changes_by_the_sender_do_not_show"),
        (broken.KeepsTheDict, "test_a_tuple_arrives_as_a_list"),
        (broken.SharesTheDict, "test_changes_by_one_reader_do_not_show_to_others"),
        (broken.WakesNoThread, "test_a_waiting_receive_is_woken"),
        (broken.WakesNoEventLoop, "test_a_waiting_task_is_woken_by_another_thread"),
        (broken.GoesOnWhenCancelled, "test_a_cancelled_receive_takes_nothing"),
        (broken.KeepsWhatACancelledReceiveTook, "test_nothing_is_lost_when_a_receive_is_cancelled"),
        (broken.LaterOnesGetThrough, "test_refused_messages_that_are_sent_again_keep_their_order"),
        (broken.NoTokens, "test_a_caller_that_got_no_answer_can_ask_again"),
        (broken.TokensOfClients, "test_a_message_that_asks_twice_waits_once"),
        (broken.SlightTwice, "test_a_message_that_asks_twice_in_slight_order_waits_once"),
        (broken.SuspendsAnybody, "test_suspending_a_turn_twice_does_nothing"),
        (broken.WrongPositions, "test_the_positions_of_refused_messages_come_back"),
        (broken.BackToTheEnd, "test_messages_that_are_given_back_come_first"),
        (broken.BackInReverse, "test_messages_of_several_channels_can_be_given_back"),
        (broken.OneTooMany, "test_no_more_is_received_than_asked_for"),
        (broken.EveryMemberCounts, "test_a_message_to_a_group_counts_once"),
        (broken.ReceivesFirst, "test_sending_and_receiving_in_one_call"),
        (broken.NeverPauses, "test_a_paused_channel_refuses"),
        (broken.PausesTheProcess, "test_a_paused_channel_refuses"),
        (broken.NeverReleases, "test_release_ends_all_memberships_of_a_channel"),
        (broken.FlushKeepsGroups, "test_flush_ends_all_memberships"),
        (broken.RefusalsUncounted, "test_messages_and_refusals_are_counted"),
        (broken.AgeUnknown, "test_the_oldest_message_gives_the_age"),
    ],
)
def test_a_broken_layer_fails(layer_class, test, monkeypatch):
    # A good layer has all the time it needs on a busy machine. A broken one is not waited for that long.
    assert run(InMemoryChannelLayer, test).wasSuccessful()
    monkeypatch.setattr(harness, "PATIENCE", 1.0)
    monkeypatch.setattr(classic, "BLOCK_SECONDS", 0.3)
    assert not run(layer_class, test).wasSuccessful()


@pytest.mark.parametrize(
    ("extension", "test"),
    [
        ("groups", "test_a_member_is_a_member_once"),
        ("flush", "test_flush_empties_all_channels"),
        ("statistics", "test_waiting_messages_are_counted"),
    ],
)
def test_tests_of_missing_extensions_are_skipped_with_a_reason(extension, test):
    class SmallLayer(InMemoryChannelLayer):
        extensions = [name for name in InMemoryChannelLayer.extensions if name != extension]

    result = run(SmallLayer, test)
    assert result.wasSuccessful()
    assert [reason for _, reason in result.skipped] == [f"SmallLayer lacks the extension {extension!r}."]


def test_a_layer_without_extensions_passes_the_rest():
    class BareLayer(InMemoryChannelLayer):
        extensions = []

    assert run(BareLayer, "test_messages_come_once_and_in_order").skipped == []
    assert run(BareLayer, "test_messages_come_once_and_in_order").wasSuccessful()


def test_tests_of_several_processes_are_skipped_for_one_process():
    result = run(InMemoryChannelLayer, "test_one_process_receives_what_another_sends")
    assert [reason for _, reason in result.skipped] == ["InMemoryChannelLayer works inside one process only."]


def test_layers_are_flushed_and_closed():
    events = []

    class LoggingLayer(InMemoryChannelLayer):
        def flush(self):
            events.append("flush")
            super().flush()

        def close(self):
            events.append("close")
            super().close()

    run(LoggingLayer, "test_receive_many_is_receive")
    assert events == ["flush", "flush", "close"]


def test_a_missing_make_layer_is_explained():
    class Forgetful(ConformanceTests, unittest.TestCase):
        pass

    result = unittest.TestResult()
    Forgetful("test_receive_many_is_receive").run(result)
    assert "Forgetful has to define make_layer(**config)" in result.errors[0][1]


@pytest.mark.parametrize(
    "command", [["unittest", "-k", "name"], ["pytest", "-q", "-k", "name", "-p", "no:cacheprovider"]]
)
def test_it_runs_in_someone_elses_project(command, tmp_path):
    (tmp_path / "test_mine.py").write_text(
        textwrap.dedent("""
            from unittest import TestCase

            from channels_classic.layers import InMemoryChannelLayer
            from channels_classic.layers.conformance import ConformanceTests

            class TestMyLayer(ConformanceTests, TestCase):
                def make_layer(self, **config):
                    return InMemoryChannelLayer(**config)
            """)
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search(r"Ran 0 tests|no tests ran", done.stdout + done.stderr)
