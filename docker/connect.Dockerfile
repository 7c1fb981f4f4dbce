# A Kafka Connect worker with the MongoDB source connector.
# Build from the root of the repository: docker build -f docker/connect.Dockerfile -t pointsman-connect .
ARG KAFKA_VERSION=4.2.1
ARG MAVEN_IMAGE=maven:3.9.9-eclipse-temurin-17
ARG STRIMZI_IMAGE=quay.io/strimzi/kafka:1.2.0-kafka-4.2.0

FROM ${MAVEN_IMAGE} AS jars
WORKDIR /build
COPY connectors/pom.xml ./
RUN mvn -B -q -ntp package -Djars.folder=/jars

# What a KafkaConnect of the chart runs: docker build --target strimzi -f docker/connect.Dockerfile .
FROM ${STRIMZI_IMAGE} AS strimzi
COPY --from=jars /jars/plugins /opt/kafka/plugins

FROM apache/kafka:${KAFKA_VERSION}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="pointsman-connect" \
      org.opencontainers.image.description="Kafka Connect with the MongoDB source connector" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=jars /jars/plugins /opt/connect/plugins
COPY docker/connect/worker.properties /opt/connect/worker.properties
# By number: Kubernetes checks runAsNonRoot by number only. It is the base image's user `appuser`.
USER 1000
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=10 \
    CMD ["wget", "-q", "-O", "/dev/null", "http://localhost:8083/connectors"]
ENTRYPOINT ["/opt/kafka/bin/connect-distributed.sh", "/opt/connect/worker.properties"]
