# The router job's image: JobManager, TaskManager and the one-shot that submits the job.
# Build from the root of the repository: docker build -f docker/flink.Dockerfile -t pointsman-flink .
ARG FLINK_VERSION=2.3.0
ARG MAVEN_IMAGE=maven:3.9.9-eclipse-temurin-17
ARG UV_VERSION=0.13.8

FROM ghcr.io/astral-sh/uv:${UV_VERSION} AS uv

# The jars that connectors/pom.xml pins, and what it builds.
FROM ${MAVEN_IMAGE} AS jars
WORKDIR /build
COPY connectors/pom.xml ./
COPY connectors/src ./src
RUN mvn -B -q -ntp package -Djars.folder=/jars

# Python and the third parties that constraints.txt pins. uv brings its own Python 3.11 with a shared library, which
# Flink's thread mode loads into the TaskManager; the base image's distribution need not have one.
FROM flink:${FLINK_VERSION}-java17 AS python
COPY --from=uv /uv /usr/local/bin/uv
ENV UV_PYTHON_INSTALL_DIR=/opt/python UV_LINK_MODE=copy UV_NO_CACHE=1
WORKDIR /build
COPY pyproject.toml constraints.txt docker/overrides.txt ./
RUN uv python install 3.11 \
    && uv venv --python 3.11 /opt/venv \
    && uv pip install --python /opt/venv -c constraints.txt --override overrides.txt -r pyproject.toml --extra flink

FROM flink:${FLINK_VERSION}-java17
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="pointsman-flink" \
      org.opencontainers.image.description="Flink with the Pointsman router job" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=python /opt/python /opt/python
COPY --from=python /opt/venv /opt/venv
COPY --from=jars /jars/flink/ /opt/flink/lib/
COPY --from=jars /jars/agents/ /opt/flink/agents/
# flink-python in the parent class loader (thread mode), and the S3 file system for checkpoints.
RUN cp /opt/flink/opt/flink-python-*.jar /opt/flink/lib/ \
    && mkdir -p /opt/flink/plugins/s3-fs-presto /state/checkpoints /state/savepoints \
    && cp /opt/flink/opt/flink-s3-fs-presto-*.jar /opt/flink/plugins/s3-fs-presto/ \
    && chown -R flink:flink /state
COPY pyproject.toml workflow_limits.toml /opt/pointsman/
COPY pointsman /opt/pointsman/pointsman
COPY flink_jobs /opt/pointsman/flink_jobs
COPY sql /opt/pointsman/sql
ENV PATH=/opt/venv/bin:$PATH \
    FLINK_HOME=/opt/flink \
    PYTHONPATH=/opt/venv/lib/python3.11/site-packages:/opt/pointsman \
    PYTHONDONTWRITEBYTECODE=1 \
    POINTSMAN_DATA_DIR=/tmp/pointsman
# What a FlinkDeployment names as --pyFiles; the same archive that `pointsman job submit` packs.
RUN python -c "from pathlib import Path; from pointsman.job import pack; pack(Path('/opt/pointsman/pointsman-job.zip'))"
# By number: Kubernetes checks runAsNonRoot by number only. It is the base image's user `flink`.
USER 9999
WORKDIR /opt/flink
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=5 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(os.environ.get('HEALTH_URL', 'http://localhost:8081/overview'), timeout=2)"]
