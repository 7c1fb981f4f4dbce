# Agents, console, offline model and the `pointsman` command.
# Build from the root of the repository: docker build -f docker/pointsman.Dockerfile -t pointsman .
ARG PYTHON_IMAGE=python:3.11.13-slim-bookworm
ARG UV_VERSION=0.13.8

FROM ghcr.io/astral-sh/uv:${UV_VERSION} AS uv

FROM ${PYTHON_IMAGE} AS build
COPY --from=uv /uv /usr/local/bin/uv
ENV UV_LINK_MODE=copy UV_NO_CACHE=1
WORKDIR /build
COPY pyproject.toml constraints.txt ./
RUN uv venv --python /usr/local/bin/python3.11 /opt/venv \
    && uv pip install --python /opt/venv -c constraints.txt -r pyproject.toml --extra knowledge --extra tools \
        --extra local-model

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="pointsman" \
      org.opencontainers.image.description="Agents, console and command line of Pointsman" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 pointsman && useradd --uid 10001 --gid 10001 --no-create-home pointsman
COPY --from=build /opt/venv /opt/venv
WORKDIR /opt/pointsman
COPY pyproject.toml ./
COPY pointsman ./pointsman
COPY agents ./agents
COPY agent_definitions ./agent_definitions
COPY connectors/leads_source.json ./connectors/
COPY bench/results/capacity.json ./bench/results/
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/pointsman \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=2 \
    POINTSMAN_DATA_DIR=/tmp/pointsman
# By number: Kubernetes checks runAsNonRoot by number only.
USER 10001
ENTRYPOINT ["python", "-m"]
CMD ["pointsman", "--help"]
# Whoever runs an agent or a server in it says in compose.yaml or the chart how to ask whether it works.
HEALTHCHECK NONE
