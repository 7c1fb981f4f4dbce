{{- define "pointsman.name" -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{- end }}

{{- define "pointsman.labels" -}}
app.kubernetes.io/name: pointsman
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* pointsman.image (list . "pointsman" TAG): an image of ours. */}}
{{- define "pointsman.image" -}}
{{- $root := index . 0 -}}
{{- $tag := index . 2 | default $root.Values.image.tag | default $root.Chart.AppVersion -}}
{{- with $root.Values.image.registry }}{{ . }}/{{ end }}{{ index . 1 }}:{{ $tag }}
{{- end }}

{{/* The agents and topics of the catalog, as YAML. */}}
{{- define "pointsman.catalog" -}}
{{- $catalog := .Files.Get "catalog.yaml" | fromYaml -}}
agents: {{ .Values.agents | default $catalog.agents | toJson }}
topics: {{ .Values.topics | default $catalog.topics | toJson }}
users: {{ .Values.users | default $catalog.users | toJson }}
{{- end }}

{{- define "pointsman.bootstrap" -}}
{{- .Values.kafka.bootstrap | default (printf "%s-kafka-bootstrap:9093" .Values.kafka.clusterName) }}
{{- end }}

{{- define "pointsman.podSecurity" -}}
runAsNonRoot: true
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "pointsman.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* pointsman.kafkaEnv (list . USER): how a Python process logs in to Kafka. */}}
{{- define "pointsman.kafkaEnv" -}}
{{- $root := index . 0 -}}
- {name: KAFKA_BOOTSTRAP_SERVERS, value: {{ include "pointsman.bootstrap" $root | quote }}}
- {name: POINTSMAN_KAFKA_SECURITY_PROTOCOL, value: SASL_SSL}
- {name: POINTSMAN_KAFKA_SASL_USERNAME, value: {{ index . 1 | quote }}}
- name: POINTSMAN_KAFKA_SASL_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ index . 1 | quote }}, key: password}}
- {name: POINTSMAN_KAFKA_SSL_CA, value: /etc/kafka-ca/ca.crt}
{{- include "pointsman.valuesEnv" $root }}
{{- end }}

{{/* What everybody who reads or writes messages is told; begins with a line break, for it may be nothing. */}}
{{- define "pointsman.valuesEnv" -}}
{{- with .Values.schemaRegistry }}{{- if .url }}
- {name: POINTSMAN_SCHEMA_REGISTRY_URL, value: {{ .url | quote }}}
- {name: POINTSMAN_SCHEMA_REGISTRY_WRITES, value: {{ .writes | quote }}}
{{- with .existingSecret }}
- name: POINTSMAN_SCHEMA_REGISTRY_USERNAME
  valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: username}}
- name: POINTSMAN_SCHEMA_REGISTRY_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: password}}
{{- end }}
{{- end }}{{- end }}
{{- with .Values.encryption }}{{- if .existingSecret }}
- {name: POINTSMAN_ENCRYPTION_WRITES, value: {{ .writes | quote }}}
- name: POINTSMAN_ENCRYPTION_KEYS
  valueFrom: {secretKeyRef: {name: {{ .existingSecret | quote }}, key: encryption_keys}}
{{- end }}{{- end }}
{{- end }}

{{- define "pointsman.metricsEnv" -}}
- {name: POINTSMAN_METRICS_PORT, value: {{ .Values.metrics.port | quote }}}
- {name: POINTSMAN_METRICS_HOST, value: 0.0.0.0}
{{- end }}

{{- define "pointsman.modelEnv" -}}
- {name: POINTSMAN_MODEL, value: {{ .Values.model.name | quote }}}
- {name: OPENAI_BASE_URL, value: {{ .Values.model.baseUrl | quote }}}
- name: OPENAI_API_KEY
  valueFrom: {secretKeyRef: {name: {{ .Values.model.existingSecret | quote }}, key: openai_api_key}}
{{ include "pointsman.metricsEnv" . }}
{{- with .Values.metrics.otlpEndpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
{{- end }}
{{- end }}

{{- define "pointsman.mongodbEnv" -}}
- {name: POINTSMAN_MONGODB_DATABASE, value: {{ .Values.mongodb.database | quote }}}
- name: MONGODB_URI
  valueFrom: {secretKeyRef: {name: {{ .Values.mongodb.existingSecret | quote }}, key: mongodb_uri}}
{{- end }}

{{/* pointsman.flinkPod (list . COMPONENT): pods of a Flink deployment that logs in to Kafka as pointsman-COMPONENT. */}}
{{- define "pointsman.flinkPod" -}}
{{- $root := index . 0 -}}
metadata:
  labels:
    {{- include "pointsman.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ index . 1 }}
spec:
  securityContext: {{- include "pointsman.podSecurity" $root | nindent 4 }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  initContainers:
    # Strimzi's secrets in the forms that Java reads. The trust store holds a certificate that is no secret.
    - name: kafka-login
      image: {{ include "pointsman.image" (list $root "pointsman-flink" "") | quote }}
      command: [sh, -ec]
      args:
        - |
          keytool -importcert -noprompt -alias ca -file /kafka-ca/ca.crt \
            -keystore /kafka/truststore.p12 -storetype PKCS12 -storepass changeit
          umask 077
          # Flink's SQL connector carries Kafka's client along under names of its own.
          login="$(sed 's/org\.apache\.kafka\./org.apache.flink.kafka.shaded.&/' /kafka-user/sasl.jaas.config)"
          printf 'KafkaClient {\n%s\n};\n' "$login" > /kafka/jaas.conf
      securityContext: {{- include "pointsman.containerSecurity" $root | nindent 8 }}
      volumeMounts:
        - {name: kafka, mountPath: /kafka}
        - {name: kafka-ca, mountPath: /kafka-ca, readOnly: true}
        - {name: kafka-user, mountPath: /kafka-user, readOnly: true}
  containers:
    - name: flink-main-container
      env:
        - {name: KAFKA_BOOTSTRAP_SERVERS, value: {{ include "pointsman.bootstrap" $root | quote }}}
        {{- if eq (index . 1) "router" }}
        {{- include "pointsman.modelEnv" $root | nindent 8 }}
        {{- include "pointsman.valuesEnv" $root | indent 8 }}
        {{- if and (eq (index . 1) "router") $root.Values.encryption.existingSecret }}
        {{- include "pointsman.mongodbEnv" $root | nindent 8 }}
        {{- end }}
        {{- else }}
        # The Hadoop file system for S3, which alone can write files exactly once.
        - {name: ENABLE_BUILT_IN_PLUGINS, value: flink-s3-fs-hadoop-2.3.0.jar}
        {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: kafka, mountPath: /kafka, readOnly: true}
  volumes:
    - {name: kafka, emptyDir: {medium: Memory}}
    - name: kafka-ca
      secret: {secretName: {{ $root.Values.kafka.clusterName }}-cluster-ca-cert}
    - name: kafka-user
      secret: {secretName: pointsman-{{ index . 1 }}}
{{- end }}
