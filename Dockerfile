# Two images from one file. The interface server knows no project and changes only with channels-classic:
#   docker build --target interface --tag mysite-interface .
#   docker build --target worker --tag mysite-worker .
# For a site of your own, replace examples/chat, chatsite, and what is installed.

FROM python:3.13.9-slim-trixie AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /venv
COPY setup.cfg setup.py pyproject.toml README.md LICENSE ./
COPY channels_classic channels_classic
COPY interface_server interface_server
COPY worker worker
RUN /venv/bin/pip install ".[encryption]" && /venv/bin/pip uninstall --yes pip && mkdir /data

FROM python:3.13.9-slim-trixie AS base
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
COPY --from=build /venv /venv
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001

FROM base AS interface
# Every option can be given like this. CHANNELS_INTERFACE_REDIS and CHANNELS_INTERFACE_TRUSTED_PROXIES come from outside.
ENV CHANNELS_INTERFACE_BIND=0.0.0.0 CHANNELS_INTERFACE_PORT=8000 CHANNELS_INTERFACE_PROXY_HEADERS=1 \
    CHANNELS_INTERFACE_DRAIN=20
EXPOSE 8000
CMD ["channels-interface"]

FROM base AS worker
WORKDIR /site
COPY examples/chat .
ENV DJANGO_SETTINGS_MODULE=chatsite.settings CHAT_DATABASE=/data/chat.sqlite3
COPY --from=build --chown=10001:10001 /data /data
VOLUME /data
CMD ["channels-worker", "--threads", "4", "--stop-timeout", "40"]
