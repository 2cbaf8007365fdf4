/** What to copy into an application or an agent, with this project's real address in it. */
import type { Project } from '../api/types'

export type Address = Pick<Project, 'http_endpoint' | 'grpc_endpoint'> & { dsn: string }

export type Snippet = { id: string; label: string; intro: string; blocks: { title: string; code: string }[] }

export function snippets(project: Address): Snippet[] {
  const { dsn, http_endpoint: http, grpc_endpoint: grpc } = project
  const env = `export OTEL_EXPORTER_OTLP_ENDPOINT="${http}"
export OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf"
export OTEL_EXPORTER_OTLP_HEADERS="uptrace-dsn=${dsn}"
export OTEL_SERVICE_NAME="my-service"`
  return [
    {
      id: 'agent',
      label: 'Petrel agent',
      intro: 'The agent takes OpenTelemetry on localhost, keeps it safe on disk and forwards it here. Applications then need no DSN at all.',
      blocks: [
        {
          title: 'agent.yaml',
          code: `dsn: ${dsn}
receivers:
  otlp:
    grpc: { endpoint: 127.0.0.1:4317 }
    http: { endpoint: 127.0.0.1:4318 }
spool: { dir: ./data/agent, max_bytes: 2GiB, when_full: evict_oldest }`,
        },
        { title: 'Run', code: 'petrel-agent run --config agent.yaml' },
      ],
    },
    {
      id: 'env',
      label: 'Any SDK',
      intro: 'Every OpenTelemetry SDK reads these variables. With an agent on the same host, none of them is needed but the name.',
      blocks: [{ title: 'Shell', code: env }],
    },
    {
      id: 'python',
      label: 'Python',
      intro: 'Instruments Flask, Django, requests, SQLAlchemy and many more without touching the code.',
      blocks: [
        {
          title: 'Install',
          code: `pip install opentelemetry-distro opentelemetry-exporter-otlp
opentelemetry-bootstrap -a install`,
        },
        {
          title: 'Run a Flask application',
          code: `${env}
export OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED=true
opentelemetry-instrument flask --app app run`,
        },
        {
          title: 'Or in code',
          code: `from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider(resource=Resource.create({"service.name": "my-service"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(
    endpoint="${http}/v1/traces",
    headers={"uptrace-dsn": "${dsn}"},
)))
trace.set_tracer_provider(provider)`,
        },
      ],
    },
    {
      id: 'go',
      label: 'Go',
      intro: 'uptrace-go works unchanged; the link that TraceURL prints opens the trace here.',
      blocks: [
        { title: 'Install', code: 'go get github.com/uptrace/uptrace-go' },
        {
          title: 'main.go',
          code: `ctx := context.Background()
uptrace.ConfigureOpentelemetry(
    uptrace.WithDSN("${dsn}"),
    uptrace.WithServiceName("my-service"),
    uptrace.WithServiceVersion("1.0.0"),
)
defer uptrace.Shutdown(ctx)

ctx, span := otel.Tracer("app").Start(ctx, "main-operation")
defer span.End()
fmt.Println("trace:", uptrace.TraceURL(span))`,
        },
      ],
    },
    {
      id: 'node',
      label: 'Node.js',
      intro: 'Instruments http, Express, pg, Redis and many more without touching the code.',
      blocks: [
        { title: 'Install', code: 'npm install @opentelemetry/api @opentelemetry/auto-instrumentations-node' },
        { title: 'Run', code: `${env}\nnode --require @opentelemetry/auto-instrumentations-node/register app.js` },
      ],
    },
    {
      id: 'collector',
      label: 'Collector',
      intro: 'An OpenTelemetry Collector may send here beside what it sends to already.',
      blocks: [
        {
          title: 'config.yaml',
          code: `exporters:
  otlp/petrel:
    endpoint: ${grpc}
    compression: zstd${grpc.startsWith('https') ? '' : '\n    tls: { insecure: true }'}
    headers:
      uptrace-dsn: "${dsn}"

service:
  pipelines:
    traces: { receivers: [otlp], processors: [batch], exporters: [otlp/petrel] }
    metrics: { receivers: [otlp], processors: [batch], exporters: [otlp/petrel] }
    logs: { receivers: [otlp], processors: [batch], exporters: [otlp/petrel] }`,
        },
      ],
    },
    {
      id: 'curl',
      label: 'curl',
      intro: 'One span by hand: the quickest way to see whether the door is open.',
      blocks: [
        {
          title: 'Shell',
          code: `now=$(date +%s)
trace=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \\n')
span=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \\n')
curl -i "${http}/v1/traces" \\
  -H "Content-Type: application/json" \\
  -H "uptrace-dsn: ${dsn}" \\
  -d '{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"curl"}}]},
    "scopeSpans":[{"spans":[{"traceId":"'$trace'","spanId":"'$span'","name":"hello","kind":1,
    "startTimeUnixNano":"'$now'000000000","endTimeUnixNano":"'$now'250000000"}]}]}]}'`,
        },
      ],
    },
  ]
}

/** The same DSN with its secret covered, for pages that others may see. */
export function masked(dsn: string): string {
  return dsn.replace(/^(\w+:\/\/)[^@]*@/, '$1••••••••@')
}
