# The example chat with channels-classic. One image; what a container is, its command says: see docker-compose.yml.
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /src
COPY setup.cfg setup.py pyproject.toml README.md LICENSE ./
COPY channels_classic channels_classic
COPY interface_server interface_server
COPY worker worker
RUN pip install ".[encryption]"

WORKDIR /site
COPY examples/chat .
RUN useradd --create-home chat && mkdir /data && chown chat /data
USER chat
ENV DJANGO_SETTINGS_MODULE=chatsite.settings CHAT_DATABASE=/data/chat.sqlite3
VOLUME /data
