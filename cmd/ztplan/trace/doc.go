// Package trace exports a run as an OpenTelemetry trace: a span for the run
// and, below it, a span a step. It is one more reader of the run's events, so
// that everything in it is already redacted, and its times are theirs.
//
// # When
//
// Nothing is traced unless OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or
// OTEL_EXPORTER_OTLP_ENDPOINT is set. The other variables have the meaning that
// OpenTelemetry gives them: OTEL_EXPORTER_OTLP_[TRACES_]PROTOCOL (http/protobuf, the
// default, or grpc), _HEADERS, _TIMEOUT, _COMPRESSION, _CERTIFICATE and the
// client certificate; OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
// OTEL_TRACES_SAMPLER, OTEL_SPAN_*_LIMIT, OTEL_BSP_*; OTEL_TRACES_EXPORTER=none
// and OTEL_SDK_DISABLED=true switch it off. TRACEPARENT and TRACESTATE, which
// a CI system sets, make the run a part of its trace.
//
// # The spans
//
//	run PLAN     ztplan.plan, ztplan.mode (apply, dry-run) and, at the end,
//	             ztplan.steps.{unchanged,changed,proved,pending,skipped,failed},
//	             ztplan.edits, ztplan.retries, ztplan.critical_path,
//	             ztplan.critical_seconds
//	step ID      ztplan.plan, ztplan.step.id, ztplan.step.kind,
//	             ztplan.step.position and, at the end, ztplan.step.state (as in
//	             the evidence), ztplan.step.edits, ztplan.step.retries; a
//	             reason or a hint if there is one. It links to the spans of the
//	             steps that it needs.
//
// The events of a span are those of the run that belong to the step (differs,
// apply, applied, unknown, wait, retry, warn, finding, violated, would), with
// path, attempt, message, error and seconds; findings also have the measurement
// and the limit. A step that did not run has a span of no length. A
// failure is the span's error status, with the text that people see.
//
// # Failures
//
// A collector that does not answer neither fails nor delays a run: spans are
// sent beside it, those that do not fit into the queue are dropped, and the end
// waits [Options].Flush at most.
//
// Sources: https://opentelemetry.io/docs/specs/otel/protocol/exporter/,
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
// and https://opentelemetry.io/docs/specs/otel/context/env-carriers/.
package trace
