{{- /* The container, as a list item. Call it with the chart's context (in a parent chart: index .Subcharts "dc-sidecar"). */ -}}
{{- define "dc-sidecar.container" -}}
{{- include "dc-sidecar.check" . -}}
{{- $socket := printf "%s/sidecar.sock" .Values.socket.directory -}}
{{- $tcp := include "dc-sidecar.tcp" . -}}
{{- $http := .Values.http -}}
{{- $configMap := include "dc-sidecar.documentConfigMap" . -}}
{{- $preStop := int (include "dc-sidecar.preStopSeconds" .) -}}
- name: dc-sidecar
  image: {{ include "dc-sidecar.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  {{- if include "dc-sidecar.native" . }}
  restartPolicy: Always
  {{- end }}
  args:
    - serve
    - {{ printf "--source=%s" (ternary (printf "file:/etc/dc-sidecar/%s" .Values.source.configMap.key) .Values.source.url (ne $configMap "")) | quote }}
    {{- if $tcp }}
    - {{ printf "--listen=%s" (include "dc-sidecar.address" .Values.tcp) | quote }}
    {{- end }}
    {{- if $http.enabled }}
    - {{ printf "--http=%s" (include "dc-sidecar.address" $http) | quote }}
    {{- if $http.tokenSecret.name }}
    - --http-token-file=/run/secrets/dc-sidecar-http/token
    {{- else if $http.allowAnonymous }}
    - --allow-anonymous-http
    {{- end }}
    {{- end }}
    {{- if .Values.tls.secretName }}
    - --tls-cert=/run/secrets/dc-sidecar-tls/tls.crt
    - --tls-key=/run/secrets/dc-sidecar-tls/tls.key
    {{- if .Values.tls.clientCA }}
    - --tls-client-ca=/run/secrets/dc-sidecar-tls/ca.crt
    {{- end }}
    {{- else if or $tcp $http.enabled }}
    - --allow-plaintext
    {{- end }}
    - {{ printf "--listen=unix:%s" $socket | quote }}
    {{- if .Values.state.enabled }}
    {{- /* A folder of its own: everybody can write to the root of an emptyDir. */}}
    - --state-dir=/var/lib/dc-sidecar/state
    {{- end }}
    - --grace={{ .Values.graceSeconds }}s
    {{- range .Values.extraArgs }}
    - {{ . | quote }}
    {{- end }}
  env:
    - {name: DC_SIDECAR_ADDRESS, value: {{ printf "unix:%s" $socket | quote }}}
    {{- range $name, $value := merge (deepCopy (default dict .Values.options)) (dict "environment" .Release.Namespace) }}
    {{- if not (kindIs "invalid" $value) }}
    - name: DC_SIDECAR_{{ $name | upper | replace "-" "_" }}
      value: {{ include "dc-sidecar.optionValue" $value | quote }}
    {{- end }}
    {{- end }}
    {{- with include "dc-sidecar.auditBytes" . }}
    - {name: DC_SIDECAR_AUDIT_SIZE, value: {{ . | quote }}}
    {{- end }}
    {{- range .Values.credentials }}
    - name: DC_SIDECAR_{{ .option | upper | replace "-" "_" }}_FILE
      value: /run/secrets/dc-sidecar/{{ .option }}
    {{- end }}
    {{- with .Values.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if or $tcp $http.enabled }}
  ports:
    {{- if $tcp }}
    - {name: grpc, containerPort: {{ .Values.tcp.port }}, protocol: TCP}
    {{- end }}
    {{- if $http.enabled }}
    - {name: dc-sidecar-http, containerPort: {{ $http.port }}, protocol: TCP}
    {{- end }}
  {{- end }}
  {{- range $name := list "startup" "readiness" "liveness" }}
  {{- $probe := index $.Values.probes $name }}
  {{- if $probe.enabled }}
  {{ $name }}Probe:
    {{- $live := or (eq $name "liveness") (and (eq $name "startup") (not $probe.waitForDocument)) }}
    {{- $type := include "dc-sidecar.probeType" $ }}
    {{- if eq $type "http" }}
    httpGet: {path: {{ ternary "/healthz" "/readyz" $live }}, port: dc-sidecar-http, scheme: {{ ternary "HTTPS" "HTTP" (ne $.Values.tls.secretName "") }}}
    {{- else if eq $type "grpc" }}
    grpc: {port: {{ $.Values.tcp.port }}{{ if $live }}, service: live{{ end }}}
    {{- else }}
    exec:
      command: [dc-sidecar, health{{ if $live }}, --live{{ end }}, --timeout={{ $probe.timeoutSeconds }}s]
    {{- end }}
    {{- range $key := list "initialDelaySeconds" "periodSeconds" "timeoutSeconds" "failureThreshold" }}
    {{- if hasKey $probe $key }}
    {{ $key }}: {{ index $probe $key }}
    {{- end }}
    {{- end }}
  {{- end }}
  {{- end }}
  {{- if $preStop }}
  lifecycle:
    preStop:
      exec: {command: [sleep, {{ $preStop | quote }}]}
  {{- end }}
  resources:
    {{- include "dc-sidecar.resources" . | nindent 4 }}
  securityContext:
    {{- toYaml .Values.securityContext | nindent 4 }}
  volumeMounts:
    - {name: dc-sidecar-socket, mountPath: {{ .Values.socket.directory | quote }}}
    - {name: dc-sidecar-tmp, mountPath: /tmp}
    {{- if $configMap }}
    - {name: dc-sidecar-routing, mountPath: /etc/dc-sidecar, readOnly: true}
    {{- end }}
    {{- if .Values.state.enabled }}
    - {name: dc-sidecar-state, mountPath: /var/lib/dc-sidecar}
    {{- end }}
    {{- if .Values.credentials }}
    - {name: dc-sidecar-credentials, mountPath: /run/secrets/dc-sidecar, readOnly: true}
    {{- end }}
    {{- if and $http.enabled $http.tokenSecret.name }}
    - {name: dc-sidecar-http, mountPath: /run/secrets/dc-sidecar-http, readOnly: true}
    {{- end }}
    {{- if .Values.tls.secretName }}
    - {name: dc-sidecar-tls, mountPath: /run/secrets/dc-sidecar-tls, readOnly: true}
    {{- end }}
    {{- with .Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- /* An option's value for its environment variable: lists with commas, large numbers without an exponent. */ -}}
{{- define "dc-sidecar.optionValue" -}}
{{- if kindIs "slice" . -}}
{{- $texts := list -}}
{{- range . -}}{{- $texts = append $texts (include "dc-sidecar.optionValue" .) -}}{{- end -}}
{{- join "," $texts -}}
{{- else if kindIs "float64" . -}}
{{- if eq (float64 (int64 .)) . -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{- /* How an endpoint of a ServiceMonitor or PodMonitor is scraped. */ -}}
{{- define "dc-sidecar.scrape" -}}
{{- $tlsConfig := (ternary .Values.podMonitor .Values.serviceMonitor (eq .Values.mode "inject")).tlsConfig -}}
{{- if .Values.tls.secretName -}}
scheme: https
{{- if $tlsConfig }}
tlsConfig:
  {{- toYaml $tlsConfig | nindent 2 }}
{{- else }}
# Prometheus calls addresses of pods; the certificate is for the name that schedulers call.
tlsConfig:
  serverName: {{ printf "%s.%s.svc" (include "dc-sidecar.fullname" .) .Release.Namespace | quote }}
  ca: {secret: {name: {{ .Values.tls.secretName | quote }}, key: ca.crt}}
{{- end }}
{{- end }}
{{- with .Values.http.tokenSecret }}
{{- if .name }}
authorization:
  credentials: {name: {{ .name | quote }}, key: {{ .key | quote }}}
{{- end }}
{{- end }}
{{- end -}}

{{- /* The audit's share of an emptyDir with a limit, half of it; empty where options.audit-size is set or there is none. */ -}}
{{- define "dc-sidecar.auditBytes" -}}
{{- $limit := include "dc-sidecar.stateBytes" . -}}
{{- if and $limit (not (index .Values.options "audit-size")) -}}{{ min (div (int64 $limit) 2) 2147483647 }}{{- end -}}
{{- end -}}

{{- /* The limit of the state volume in bytes; empty if it has none that the chart knows. */ -}}
{{- define "dc-sidecar.stateBytes" -}}
{{- if .Values.state.enabled -}}
{{- with (default dict .Values.state.volume.emptyDir).sizeLimit -}}{{ include "dc-sidecar.bytes" . }}{{- end -}}
{{- end -}}
{{- end -}}

{{- /* A size such as 64Mi, 64MiB or 1000 in bytes. */ -}}
{{- define "dc-sidecar.bytes" -}}
{{- $text := include "dc-sidecar.optionValue" . -}}
{{- $units := dict "" 1 "b" 1 "k" 1000 "m" 1000000 "g" 1000000000 "ki" 1024 "kib" 1024 "mi" 1048576 "mib" 1048576 "gi" 1073741824 "gib" 1073741824 -}}
{{- $unit := regexReplaceAll "^[0-9]+\\s*" $text "" | lower -}}
{{- if not (and (hasKey $units $unit) (regexMatch "^[0-9]+" $text)) -}}
{{- fail (printf "found the size %q, expected a whole number with Ki, Mi or Gi" $text) -}}
{{- end -}}
{{- mul (int64 (regexFind "^[0-9]+" $text)) (get $units $unit) -}}
{{- end -}}

{{- define "dc-sidecar.address" -}}
{{ if contains ":" .address }}[{{ .address }}]{{ else }}{{ .address }}{{ end }}:{{ .port }}
{{- end -}}

{{- /* The memory limit follows from the settings, in units of 16Mi; a limit other than the default is left unchanged. */ -}}
{{- define "dc-sidecar.resources" -}}
{{- $resources := deepCopy (default dict .Values.resources) -}}
{{- if eq (dig "limits" "memory" "" $resources | toString) "128Mi" -}}
{{- $applications := mul 16 (div (add (int64 .Values.applications) 2499) 2500) -}}
{{- $needed := add 64 $applications (ternary 64 0 (hasPrefix "nacos" .Values.source.url)) (ternary 32 0 .Values.http.enabled) -}}
{{- $_ := set $resources.limits "memory" (printf "%dMi" $needed) -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{- /* For `initContainers:` of the scheduler's pod, before containers that need the sidecar; empty before Kubernetes 1.29. */ -}}
{{- define "dc-sidecar.initContainers" -}}
{{- if include "dc-sidecar.native" . }}{{ include "dc-sidecar.container" . }}{{ end -}}
{{- end -}}

{{- /* For `containers:` of the scheduler's pod; empty from Kubernetes 1.29 on. */ -}}
{{- define "dc-sidecar.containers" -}}
{{- if not (include "dc-sidecar.native" .) }}{{ include "dc-sidecar.container" . }}{{ end -}}
{{- end -}}

{{- /* For `volumes:` of the pod. */ -}}
{{- define "dc-sidecar.volumes" -}}
- name: dc-sidecar-socket
  emptyDir: {sizeLimit: 1Mi}
- name: dc-sidecar-tmp
  emptyDir: {sizeLimit: 64Mi}
{{- with include "dc-sidecar.documentConfigMap" . }}
- name: dc-sidecar-routing
  configMap: {name: {{ . | quote }}}
{{- end }}
{{- if .Values.state.enabled }}
- name: dc-sidecar-state
  {{- toYaml .Values.state.volume | nindent 2 }}
{{- end }}
{{- if .Values.credentials }}
- name: dc-sidecar-credentials
  projected:
    defaultMode: 0440
    sources:
      {{- range .Values.credentials }}
      - secret: {name: {{ .secretName | quote }}, items: [{key: {{ .key | quote }}, path: {{ .option | quote }}}]}
      {{- end }}
{{- end }}
{{- if and .Values.http.enabled .Values.http.tokenSecret.name }}
- name: dc-sidecar-http
  secret:
    secretName: {{ .Values.http.tokenSecret.name | quote }}
    defaultMode: 0440
    items: [{key: {{ .Values.http.tokenSecret.key | quote }}, path: token}]
{{- end }}
{{- if .Values.tls.secretName }}
- name: dc-sidecar-tls
  secret: {secretName: {{ .Values.tls.secretName | quote }}, defaultMode: 0440}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* For `volumeMounts:` and `env:` of the scheduler's own container. */ -}}
{{- define "dc-sidecar.schedulerVolumeMounts" -}}
- {name: dc-sidecar-socket, mountPath: {{ .Values.socket.directory | quote }}}
{{- end -}}

{{- define "dc-sidecar.schedulerEnv" -}}
- {name: DC_SIDECAR_TARGET, value: {{ printf "unix:%s/sidecar.sock" .Values.socket.directory | quote }}}
{{- end -}}
