# One image for every process; the command says which. Pinned, without root, without a compiler.
FROM python:3.13.9-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# Which lock: gateway, ingest, alerts or demo.
ARG ROOM=alerts
WORKDIR /app
COPY requirements/${ROOM}.txt requirements.txt
RUN pip install --require-hashes --requirement requirements.txt

COPY devices devices
COPY gateway gateway
COPY ingest ingest
COPY alerts alerts
COPY simulator simulator

RUN groupadd --gid 10001 egenmonitor \
 && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin egenmonitor \
 && mkdir -p /data /authority /broker /services/ingest \
 && chown egenmonitor:egenmonitor /data /authority /broker /services/ingest
USER egenmonitor
VOLUME /data
ENTRYPOINT ["python", "-m"]
