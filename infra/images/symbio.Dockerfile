# The worker, flow runs, trainings, and the MLflow and Prefect servers, from one locked list.
# Compose builds it; for a cluster, from the project's folder:
#
#   docker build --file infra/images/symbio.Dockerfile --tag REGISTRY/symbio:0.1.0 .
#
# To pin the base image to its content as well, append the digest that
# `docker buildx imagetools inspect python:3.11.15-slim-bookworm` prints: python:3.11.15-...@sha256:...
FROM python:3.11.15-slim-bookworm AS environment
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/symbio/venv
ENV PATH=/opt/symbio/venv/bin:$PATH
WORKDIR /build
COPY bootstrap.lock requirements.lock ./
RUN pip install --require-hashes -r bootstrap.lock
RUN uv pip install --no-cache --require-hashes --compile-bytecode -r requirements.lock
COPY pyproject.toml README.md ./
COPY symbio symbio
RUN pip install --no-deps --no-build-isolation --no-index .

FROM python:3.11.15-slim-bookworm
# git: the commit of a run, and worktrees for other parameters. ssh: hosts of a hostfile. tini: reaps
# what ends under a flow run, and hands signals on.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git openssh-client tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 1000 symbio \
    && useradd --uid 1000 --gid 1000 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin symbio \
    && install --directory --owner=1000 --group=1000 /project
COPY --from=environment /opt/symbio/venv /opt/symbio/venv
# Where a volume for the project is empty, infra/images/checkout.sh fills it from here.
COPY . /opt/symbio/project

# Every file that a program writes by itself goes below /tmp: the root file system is mounted read-only.
# A checkout at /project comes before the package of the image. Nothing reports usage to anybody.
ENV PATH=/opt/symbio/venv/bin:$PATH \
    PYTHONPATH=/project \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    USER=symbio \
    PREFECT_HOME=/tmp/prefect \
    DO_NOT_TRACK=true \
    DVC_NO_ANALYTICS=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    HF_HUB_DISABLE_TELEMETRY=1
WORKDIR /project
USER 1000:1000
ENTRYPOINT ["tini", "--"]
CMD ["symbio", "--help"]
