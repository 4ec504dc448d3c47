"""``Binding`` connects a model to clients, which see its changes and can change it (specification, section 10)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from inspect import Parameter, signature
from typing import Any, ClassVar

from django.apps import apps
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import router, transaction
from django.db.models import Field, Model

from channels_classic.auth import channel_session_user
from channels_classic.binding import changes, fields, receivers, requests
from channels_classic.binding.commits import Known
from channels_classic.binding.receivers import Receivers
from channels_classic.binding.requests import CREATE, DELETE, UPDATE, Refused
from channels_classic.channel import Group
from channels_classic.exceptions import ChannelSocketException, ConsumeLater, DenyConnection
from channels_classic.log import logger
from channels_classic.message import Message
from channels_classic.old_names import legacy_is_active
from channels_classic.sessions import channel_session

__all__ = ["CREATE", "DELETE", "UPDATE", "Binding", "BindingMetaclass", "Refused"]


class BindingMetaclass(type):
    """Registers each binding class after all models are loaded."""

    binding_classes: ClassVar[list[type[Binding]]] = []
    """All binding classes in the order of their definition, those that others inherit from included."""

    _waiting: ClassVar[list[type[Binding]]] = []

    def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> None:
        super().__init__(name, bases, body)
        if not any(isinstance(base, BindingMetaclass) for base in bases):
            return
        if apps.models_ready:
            cls.register()  # type: ignore[attr-defined]
        else:
            BindingMetaclass._waiting.append(cls)  # type: ignore[arg-type]
        BindingMetaclass.binding_classes.append(cls)  # type: ignore[arg-type]

    @classmethod
    def register_all(cls) -> None:
        """Register the bindings that were defined while models were being loaded."""
        while cls._waiting:
            cls._waiting.pop(0).register()


class Binding(Receivers, metaclass=BindingMetaclass):
    """Tells clients about the changes of a model, and lets them make changes, over any protocol.

    A subclass names the model, the fields and the groups. A base class for other bindings, which is no binding
    itself, has ``model = None`` in its body.

    Raises:
        ValueError: (when it is registered) it has no model, or neither ``fields`` nor ``exclude``.
    """

    model: ClassVar[Any] = None
    """The model's class, or ``"app.Model"``."""

    stream: str | None = None
    """The stream of a demultiplexer that clients know the binding by."""

    fields: Collection[str] | None = None
    """The names of the fields that clients see and may write; ``["__all__"]`` for all."""

    exclude: Collection[str] | None = None
    """Without ``fields``: the names of the fields that clients neither see nor write."""

    channel_session_user = True
    """Whether ``self.user`` is the user of the channel session, which is then available too."""

    channel_session = False
    """Whether ``self.message`` has the channel session."""

    model_label: ClassVar[str]
    """The model's name as clients see it: ``app.model``."""

    # Attributes that an instance has while it handles a change or a request.
    message: Message
    kwargs: Mapping[str, Any]
    user: Any
    action: str | None = None
    pk: Any = None
    data: Any = None
    instance: Model | None = None
    """The instance that has changed."""
    signal_kwargs: Mapping[str, Any] = {}
    """Other arguments of the signal, such as ``update_fields``."""
    _known: Known | None = None

    @classmethod
    def register(cls) -> None:
        """Begin to tell clients about changes. It is called for each class after all models are loaded."""
        models = cls.get_registered_models()
        cls.has_own_receivers = receivers.overrides(cls) or models not in ([], [cls.model])
        if cls.has_own_receivers:
            receivers.connect(cls, models)
        if cls.model in models:
            changes.listen(cls)

    @classmethod
    def get_registered_models(cls) -> list[type[Model]]:
        """The models that the binding is about: ``[model]``, or none for a class that others inherit from.

        Override it for a binding that tells about several.
        """
        if cls.model is None:
            if "model" in vars(cls):
                return []
            raise ValueError(
                f"{cls.__name__} has no model. Set model to a model class or to 'app.Model'; or to None, if "
                "bindings are to inherit from it."
            )
        if cls.fields is None and cls.exclude is None:
            raise ValueError(
                f"{cls.__name__} has neither fields nor exclude. Set fields to the names of the fields that "
                "clients may see, or to ['__all__']."
            )
        if isinstance(cls.model, str):
            cls.model = apps.get_model(cls.model)
        cls.model_label = cls.model._meta.label_lower
        return [cls.model]

    @classmethod
    def selected_fields(cls) -> list[Field[Any, Any]]:
        """The fields that ``fields`` and ``exclude`` select."""
        return fields.selected(cls.model, cls.fields, cls.exclude)

    # Outbound.

    @classmethod
    def group_names(cls, instance: Any) -> Iterable[str]:
        """The groups whose members may see ``instance`` in its current state. Each binding has to define it.

        It is called with the instance as it was before a change, and as it is after it. Members of groups in both
        results get an update, members of new groups a creation, and members of former groups a deletion.
        """
        raise NotImplementedError(f"{cls.__name__} has to define group_names(instance).")

    def serialize(self, instance: Any, action: str) -> Any:
        """The payload about ``instance``. If it is empty, nothing is sent. Each protocol has to define it."""
        raise NotImplementedError(f"{type(self).__name__} has to define serialize(instance, action).")

    @classmethod
    def encode(cls, stream: str, payload: Any) -> dict[str, Any]:
        """The message for a group with the payload of ``serialize``. Each protocol has to define it."""
        raise NotImplementedError(f"{cls.__name__} has to define encode(stream, payload).")

    def serialize_data(self, instance: Any) -> dict[str, Any]:
        """The values, as in JSON, of the fields that clients see."""
        return fields.to_json(instance, self.selected_fields())

    def send_messages(self, instance: Any, group_names: Iterable[str], action: str, **kwargs: Any) -> None:
        """Tell the members of some groups.

        Arguments:
            instance: the instance as it is, or for a deletion as they last saw it.
            action: ``create``, ``update`` or ``delete``, as it is for these members.
            kwargs: the arguments of the signal.
        """
        self.instance, self.signal_kwargs = instance, kwargs
        if action == DELETE and self._known is not None:
            payload = self._known.payload
        else:
            payload = self.serialize(instance, action)
        if payload:
            message = self.encode(self._stream_name(), payload)
            for name in sorted(group_names):
                Group(name).send(message)

    @classmethod
    def known(cls, instance: Model, signal_kwargs: Mapping[str, Any]) -> Known:
        """The state of an instance that clients know before it changes."""
        self = cls()
        self.instance, self.signal_kwargs = instance, signal_kwargs
        groups = self._groups(instance, UPDATE)
        deletion_groups = self._groups(instance, DELETE) if _takes_action(self.group_names) else groups
        payload = self.serialize(instance, DELETE) if groups or deletion_groups else None
        return Known(groups, deletion_groups, instance, payload)

    @classmethod
    def tell(cls, known: Known, instance: Model | None, signal_kwargs: Mapping[str, Any]) -> None:
        """Tell clients about an instance after a change; ``None`` if it does not exist any more."""
        self = cls()
        self._known = known
        groups = frozenset() if instance is None else self._groups(instance, UPDATE if known.groups else CREATE)
        # The deletions come first, so that a client in two of the groups ends up with the instance.
        for told, names, action in (
            (known.instance, known.deletion_groups if instance is None else known.groups - groups, DELETE),
            (instance, known.groups & groups, UPDATE),
            (instance, groups - known.groups, CREATE),
        ):
            if names:
                self.send_messages(told, names, action, **signal_kwargs)

    def _groups(self, instance: Model, action: str) -> frozenset[str]:
        method: Callable[..., Iterable[str]] = self.group_names
        names = method(instance, action) if _takes_action(method) else method(instance)
        if isinstance(names, str):
            raise TypeError(f"{type(self).__name__}.group_names must give a list of names, not the str {names!r}.")
        return frozenset(names)

    def _stream_name(self) -> str:
        if self.stream is None:
            raise ValueError(f"{type(self).__name__} has no stream. Set it to the name that clients know it by.")
        return self.stream

    # Inbound.

    @classmethod
    def consumer(cls, message: Message, **kwargs: Any) -> Any:
        """The consumer of clients' requests, for ``consumers`` of a demultiplexer."""
        return cls.get_handler()(message, **kwargs)

    @classmethod
    def get_handler(cls) -> Callable[..., Any]:
        """``trigger_inbound`` with its session and user. Override it to add decorators."""
        handler: Callable[..., Any] = cls.trigger_inbound
        if cls.channel_session_user:
            return channel_session_user(handler)
        if cls.channel_session:
            return channel_session(handler)
        return handler

    @classmethod
    def trigger_inbound(cls, message: Message, **kwargs: Any) -> None:
        """Carry out a client's request, or tell the client why it is refused."""
        self = cls()
        self.message, self.kwargs = message, kwargs
        if hasattr(message, "user"):
            self.user = message.user
        else:
            from django.contrib.auth.models import AnonymousUser  # only where the app is installed

            self.user = AnonymousUser()
        try:
            self.action, self.pk, self.data = self.deserialize(message)
            self.run_action(self.action, self.pk, self.data)
        except Refused as error:
            self._refuse(error)
        except (ChannelSocketException, ConsumeLater, DenyConnection):
            raise
        except Exception:
            self._refuse(Refused("The server failed to do this."))
            raise

    def deserialize(self, message: Message) -> tuple[Any, Any, Any]:
        """The action, the primary key and the data of a client's request. Each protocol has to define it."""
        raise NotImplementedError(f"{type(self).__name__} has to define deserialize(message).")

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        """Whether ``user`` may do this. By default nobody may.

        Arguments:
            action: ``create``, ``update`` or ``delete``.
            pk: the primary key as the client sent it; ``None`` for ``create``.
        """
        return False

    def run_action(self, action: str, pk: Any, data: Any) -> None:
        """Carry out the client's request in a transaction, if it is permitted.

        Override it for a binding with actions of its own. Neither the form of the request nor the permission is
        checked before it.

        Arguments:
            action, pk, data: the result of ``deserialize``, as the client sent it.

        Raises:
            Refused: the request has the wrong form, is not permitted, or cannot be carried out.
        """
        requests.check_form(self.model, action, pk, data)
        if action == CREATE:
            self.pk = pk = None  # a new instance has no key yet
        with requests.refusals(self.model):
            if not self.has_permission(self.user, action, pk):
                raise PermissionDenied
            with transaction.atomic(using=router.db_for_write(self.model)):
                if action == CREATE:
                    self.create(data)
                elif action == UPDATE:
                    self.update(pk, data)
                else:
                    self.delete(pk)

    def new_instance(self) -> Any:
        """The instance that ``create`` begins with. Override it to set fields that clients may not choose."""
        return self.model()

    def create(self, data: dict[str, Any]) -> None:
        """Create an instance with ``data``, as the client sent it. Fields that it may not write are ignored."""
        self._write(self.new_instance(), data, is_new=True)

    def update(self, pk: Any, data: dict[str, Any]) -> None:
        """Write ``data``, as the client sent it, to an instance. Fields that it may not write are ignored."""
        self._write(self._get(pk), data, is_new=False)

    def delete(self, pk: Any) -> None:
        """Delete an instance."""
        self._get(pk).delete()

    def validate(self, instance: Any, exclude: set[str]) -> None:
        """Validate an instance that a client has written, before it is saved.

        The default calls the model's ``full_clean``, except in projects with ``channels_classic.legacy``, as in
        Channels 1.

        Arguments:
            exclude: the names of the fields that the client could not write.

        Raises:
            ValidationError: something is wrong; the client gets the reasons.
        """
        if not legacy_is_active():
            instance.full_clean(exclude=exclude)

    def _get(self, pk: Any) -> Any:
        rows = self.model._default_manager.using(router.db_for_write(self.model)).select_related(None)
        try:
            return rows.select_for_update().get(pk=pk)
        except (TypeError, ValueError, OverflowError, ValidationError):  # a value that cannot be a key
            raise self.model.DoesNotExist from None

    def _write(self, instance: Any, data: dict[str, Any], is_new: bool) -> None:
        keys = self.model._meta.pk_fields
        writable = [field for field in fields.writable(self.selected_fields()) if is_new or field not in keys]
        if is_new and self.fields is not None:  # a client may choose the key only if fields names it
            writable += [
                key for key in keys if key.name in self.fields and not (key.auto_created or key in writable)
            ]
        written = [field for field in writable if field.name in data]
        if not written and not is_new:
            return
        many = fields.assign(instance, written, data)
        validated = {field.name for field in (writable if is_new else written)}
        self.validate(instance, {field.name for field in instance._meta.fields} - validated)
        if any(key in written for key in keys):
            instance.save(force_insert=True)  # so that an existing instance with this key is not overwritten
        else:
            instance.save()
        for name, keys in many.items():
            getattr(instance, name).set(keys)

    def _refuse(self, error: Refused) -> None:
        action, pk = requests.short(self.action), requests.short(self.pk)
        logger.warning("%s refused %s of %r: %s %s", type(self).__name__, action, pk, error, error.errors or "")
        if self.message.reply_channel is None:
            return
        payload = {
            "action": "error",
            "request": {"action": action, "pk": pk},
            "error": str(error),
            "errors": error.errors,
            "model": self.model_label,
        }
        self.message.reply_channel.send(self.encode(self._stream_name(), payload))


def _takes_action(group_names: Callable[..., Any]) -> bool:
    """Whether it has the form from before Channels 1.0: ``group_names(instance, action)``."""
    return _requires_two(getattr(group_names, "__func__", group_names), hasattr(group_names, "__func__"))


@lru_cache
def _requires_two(function: Callable[..., Any], is_bound: bool) -> bool:
    positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    required = [
        parameter
        for parameter in signature(function).parameters.values()
        if parameter.kind in positional and parameter.default is Parameter.empty
    ]
    return len(required) - is_bound >= 2
