from channels_classic import Group


def accept(message):
    message.reply_channel.send({"accept": True})


def echo(message):
    message.reply_channel.send({"text": message["text"]})


async def async_echo(message):
    message.reply_channel.send({"text": message["text"]})


def join(message):
    Group("room").add(message.reply_channel)
    message.reply_channel.send({"accept": True})


def broadcast(message):
    Group("room").send({"text": message["text"]})


def leave(message):
    Group("room").discard(message.reply_channel)
