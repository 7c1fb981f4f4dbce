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
