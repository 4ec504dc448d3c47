"""``manage.py deadletters`` handles messages that have killed their workers too often."""

from __future__ import annotations

import json
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels_classic.asgi import channel_layers
from channels_classic.defaults import DEFAULT_CHANNEL_LAYER
from channels_classic.layers import BaseChannelLayer, DeadLetter
from channels_classic.management.layers import using_layer

ACTIONS = {
    "list": "Print a line for each dead letter.",
    "show": "Print one dead letter with its content.",
    "retry": "Send dead letters to their channels again, as if they were new.",
    "drop": "Delete dead letters.",
}


class Command(BaseCommand):
    """Lists, shows, sends again and drops dead letters."""

    help = (
        "Dead letters are messages of at-least-once channels whose worker died each time it ran them. List them, "
        "show one, send it to its channel again, or drop it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the arguments: an action, and the dead letters that it applies to."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="list|show|retry|drop")
        for action, what in ACTIONS.items():
            one = actions.add_parser(action, help=what)
            one.add_argument(
                "identities", nargs="*", metavar="ID", help="The IDs of dead letters, or their first characters."
            )
            if action in ("retry", "drop"):
                one.add_argument("--all", action="store_true", help="Use all dead letters.")
            one.add_argument("--layer", default=DEFAULT_CHANNEL_LAYER, help="The entry of CHANNEL_LAYERS to use.")
            one.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Carry out the action."""
        with using_layer(options["layer"]):
            layer: BaseChannelLayer = channel_layers[options["layer"]].channel_layer
            if "processes" not in layer.extensions:
                raise CommandError(f"CHANNEL_LAYERS[{options['layer']!r}] keeps no dead letters.")
            letters = layer.dead_letters()
            chosen = self._chosen(letters, options)
            action = options["action"]
            if action in ("list", "show"):
                self._print(chosen, options["json"], with_content=action == "show")
            else:
                self._settle(layer, chosen, action, options["json"])

    def _chosen(self, letters: list[DeadLetter], options: dict[str, Any]) -> list[DeadLetter]:
        action, identities = options["action"], options["identities"]
        if options.get("all") and identities:
            raise CommandError("Give either --all or an ID.")
        if options.get("all") or (action == "list" and not identities):
            return letters
        if not identities:
            raise CommandError(f"Say which: deadletters {action} ID. 'deadletters list' shows them.")
        return [self._one(letters, identity) for identity in identities]

    def _one(self, letters: list[DeadLetter], identity: str) -> DeadLetter:
        found = [letter for letter in letters if letter.identity.startswith(identity)]
        if len(found) != 1:
            how_many = f"There are {len(found)} dead letters" if found else "There is no dead letter"
            raise CommandError(f"{how_many} with an ID that begins with {identity!r}.")
        return found[0]

    def _print(self, letters: list[DeadLetter], as_json: bool, with_content: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps([_as_dict(letter) for letter in letters], indent=2))
        elif not letters:
            self.stdout.write("There are no dead letters.")
        elif with_content:
            for letter in letters:
                for name, value in _as_dict(letter).items():
                    text = json.dumps(value, indent=2) if name == "content" else str(value)
                    self.stdout.write(f"{name}: {text}")
                self.stdout.write("")
        else:
            for letter in letters:
                died = _as_dict(letter)["died"]
                self.stdout.write(f"{letter.identity}  {died}  {letter.channel}  {letter.reason}")

    def _settle(self, layer: BaseChannelLayer, letters: list[DeadLetter], action: str, as_json: bool) -> None:
        settle = layer.retry_dead_letter if action == "retry" else layer.drop_dead_letter
        done = [letter for letter in letters if settle(letter.identity)]
        if as_json:
            self.stdout.write(json.dumps([letter.identity for letter in done]))
        else:
            what = "sent to their channels again" if action == "retry" else "dropped"
            self.stdout.write(f"{len(done)} of {len(letters)} dead letters {what}.")


def _as_dict(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter as a dict for JSON."""
    died = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(letter.died))
    return {**letter._asdict(), "died": died, "content": _plain(letter.content)}


def _plain(value: Any) -> Any:
    """A value of a message for JSON. Bytes become text, with escapes for what is not ASCII."""
    if isinstance(value, bytes):
        return value.decode("ascii", "backslashreplace")
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value
