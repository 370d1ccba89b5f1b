{{- define "dc-sidecar.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "dc-sidecar.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "dc-sidecar.labels" -}}
{{ include "dc-sidecar.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" | quote }}
{{- end -}}

{{- define "dc-sidecar.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "dc-sidecar.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "dc-sidecar.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* The ConfigMap with the document; empty if source.url is set. */ -}}
{{- define "dc-sidecar.documentConfigMap" -}}
{{- if not .Values.source.url -}}
{{- default (printf "%s-routing" (include "dc-sidecar.fullname" .)) .Values.source.configMap.name -}}
{{- end -}}
{{- end -}}

{{- /* "true" or "": resolves the nulls of values.yaml. */ -}}
{{- define "dc-sidecar.tcp" -}}
{{- if kindIs "invalid" .Values.tcp.enabled -}}{{ if eq .Values.mode "standalone" }}true{{ end }}
{{- else if .Values.tcp.enabled -}}true{{- end -}}
{{- end -}}

{{- define "dc-sidecar.native" -}}
{{- if eq .Values.mode "inject" -}}
{{- if kindIs "invalid" .Values.inject.native -}}{{ if semverCompare ">=1.29.0-0" .Capabilities.KubeVersion.Version }}true{{ end }}
{{- else if .Values.inject.native -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{- define "dc-sidecar.preStopSeconds" -}}
{{- if kindIs "invalid" .Values.preStopSeconds -}}{{ ternary 0 5 (eq (include "dc-sidecar.native" .) "true") }}
{{- else -}}{{ .Values.preStopSeconds }}{{- end -}}
{{- end -}}

{{- define "dc-sidecar.probeType" -}}
{{- $grpc := and (include "dc-sidecar.tcp" .) (not .Values.tls.secretName) -}}
{{- default (ternary "grpc" "exec" (not (not $grpc))) .Values.probes.type -}}
{{- end -}}

{{- /* Rejects combinations of values that the schema cannot express. */ -}}
{{- define "dc-sidecar.check" -}}
{{- $source := .Values.source -}}
{{- if and $source.url (or $source.configMap.name $source.configMap.document) -}}
{{- fail "source: found a url and a configMap, expected one of them" -}}
{{- end -}}
{{- if not (or $source.url $source.configMap.name $source.configMap.document) -}}
{{- fail "source: found nothing, expected source.url (nacos://…, zookeeper://…, apollo://…), source.configMap.name or source.configMap.document" -}}
{{- end -}}
{{- if and $source.configMap.name $source.configMap.document -}}
{{- fail "source.configMap: found a name and a document, expected one: the document is for a ConfigMap that the chart creates" -}}
{{- end -}}
{{- if and (eq .Values.mode "standalone") (not (include "dc-sidecar.tcp" .)) -}}
{{- fail "tcp.enabled: found false, expected true in mode standalone: otherwise clients cannot reach the sidecar" -}}
{{- end -}}
{{- if and .Values.tls.clientCA (not .Values.tls.secretName) -}}
{{- fail "tls.clientCA: found true without tls.secretName, whose ca.crt it needs" -}}
{{- end -}}
{{- if and (eq .Values.probes.type "grpc") (or .Values.tls.secretName (not (include "dc-sidecar.tcp" .))) -}}
{{- fail "probes.type: found grpc, expected exec: kubelet probes gRPC without TLS and over TCP only" -}}
{{- end -}}
{{- if and (eq .Values.probes.type "http") (not .Values.http.enabled) -}}
{{- fail "probes.type: found http, expected http.enabled: true as well" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (or (not .Values.http.enabled) (ne .Values.mode "standalone")) -}}
{{- fail "serviceMonitor.enabled: found true, expected http.enabled: true and mode: standalone as well" -}}
{{- end -}}
{{- if and .Values.http.enabled (not .Values.http.tokenSecret.name) (not .Values.http.allowAnonymous) (not (has .Values.http.address (list "127.0.0.1" "::1"))) -}}
{{- fail "http.tokenSecret.name: found none, expected a Secret with the token that HTTP requests must carry, or http.allowAnonymous: true" -}}
{{- end -}}
{{- if and .Values.podMonitor.enabled (or (not .Values.http.enabled) (ne .Values.mode "inject")) -}}
{{- fail "podMonitor.enabled: found true, expected http.enabled: true and mode: inject as well; in mode standalone use serviceMonitor" -}}
{{- end -}}
{{- if and .Values.http.enabled (include "dc-sidecar.tcp" .) (eq (int .Values.http.port) (int .Values.tcp.port)) -}}
{{- fail (printf "http.port: found %d, the same as tcp.port, expected another" (int .Values.http.port)) -}}
{{- end -}}
{{- with include "dc-sidecar.stateBytes" . -}}
{{- $audit := include "dc-sidecar.bytes" (default (include "dc-sidecar.auditBytes" $) (index $.Values.options "audit-size")) -}}
{{- $rest := mul 16 (include "dc-sidecar.bytes" (default "1MiB" (index $.Values.options "max-document-size")) | int64) -}}
{{- if lt (int64 .) (add (int64 $audit) $rest) -}}
{{- fail (printf "state.volume.emptyDir.sizeLimit: found %d bytes, expected at least %d, or kubelet evicts the pod: options.audit-size (by default half of it) and 16 times options.max-document-size for snapshot and failovers" (int64 .) (add (int64 $audit) $rest)) -}}
{{- end -}}
{{- end -}}
{{- $needed := add (int (include "dc-sidecar.preStopSeconds" .)) (int .Values.graceSeconds) 2 -}}
{{- if lt (int .Values.terminationGracePeriodSeconds) (int $needed) -}}
{{- fail (printf "terminationGracePeriodSeconds: found %d, expected at least %d: preStopSeconds, graceSeconds and 2" (int .Values.terminationGracePeriodSeconds) (int $needed)) -}}
{{- end -}}
{{- end -}}
