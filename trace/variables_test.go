package trace_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/testserver"
	"github.com/larderbuild/larder/trace"
)

// describe returns what cfg says, a line for each field.
func describe(cfg trace.Config) (lines []string) {
	add := func(name string, value any) { lines = append(lines, fmt.Sprintf("%s=%v", name, value)) }
	add("url", cfg.URL)
	for _, name := range slices.Sorted(maps.Keys(cfg.Header)) {
		add("header "+name, cfg.Header.Get(name))
	}
	add("sampler", cfg.Sampler)
	add("propagates", cfg.Propagates)
	add("resource", cfg.Resource)
	add("gzip", cfg.Gzip)
	add("timeout", cfg.Timeout)
	add("delay", cfg.Delay)
	add("export", cfg.ExportTimeout)
	add("queue", cfg.Queue)
	add("batch", cfg.Batch)
	add("authorities", cfg.Transport.TLSClientConfig.RootCAs != nil)
	add("certificates", len(cfg.Transport.TLSClientConfig.Certificates))
	return lines
}

const (
	endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318"
	onlyOTLP = "OTEL_TRACES_EXPORTER=otlp"
	off      = "off"
)

// TestVariables: each variable of the specification has its effect, a bad value is named with
// what is allowed and has none, and nothing secret is logged.
func TestVariables(t *testing.T) {
	t.Parallel()
	authority := testserver.NewAuthority(t)
	cert, key := authority.Issue("larder", time.Now().Add(time.Hour))
	noPEM := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(noPEM, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	plain, _ := trace.FromVariables(variables(onlyOTLP), "v1", new(notes).logger())
	defaults := describe(plain)
	const general = "url=http://c:4318/v1/traces"
	for _, test := range []struct {
		set   []string // s3cret stands for what may not be logged
		want  []string // lines that are not as without the variables
		warns []string // the beginnings of what is logged, and what is in it
	}{
		{set: nil, want: []string{off}},
		{set: []string{"OTEL_SERVICE_NAME=x", "OTEL_TRACES_SAMPLER=always_on"}, want: []string{off}},
		{set: []string{onlyOTLP}},
		{set: []string{endpoint}, want: []string{general}},
		{set: []string{endpoint, "OTEL_TRACES_EXPORTER=none"}, want: []string{off}},
		{set: []string{endpoint, "OTEL_TRACES_EXPORTER= OTLP "}, want: []string{general}},
		{set: []string{endpoint, "OTEL_TRACES_EXPORTER=zipkin"}, want: []string{general}, warns: []string{"OTEL_TRACES_EXPORTER", `it is "zipkin": want one of otlp, none`}},
		{set: []string{"OTEL_TRACES_EXPORTER=console"}, want: []string{off}, warns: []string{"OTEL_TRACES_EXPORTER", `"console"`}},
		{set: []string{endpoint, "OTEL_SDK_DISABLED=true"}, want: []string{off}},
		{set: []string{endpoint, "OTEL_SDK_DISABLED=TRUE"}, want: []string{off}},
		{set: []string{endpoint, "OTEL_SDK_DISABLED=false"}, want: []string{general}},
		{set: []string{endpoint, "OTEL_SDK_DISABLED=1"}, want: []string{general}, warns: []string{"OTEL_SDK_DISABLED", "want one of true, false"}},

		{set: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318/"}, want: []string{general}},
		{set: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=https://c/otlp"}, want: []string{"url=https://c/otlp/v1/traces"}},
		{set: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=https://c/otlp/?key=k"}, want: []string{"url=https://c/otlp/v1/traces?key=k"}},
		{set: []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://t:4318"}, want: []string{"url=http://t:4318"}},
		{set: []string{endpoint, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://t:4318/my/path"}, want: []string{"url=http://t:4318/my/path"}},
		{set: []string{"OTEL_EXPORTER_OTLP_ENDPOINT="}, want: []string{off}},
		{set: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=c:4318"}, want: []string{off}, warns: []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "want a URL such as http://localhost:4318"}},
		{set: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=grpc://u:s3cret@c"}, want: []string{off}, warns: []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "want a URL"}},
		{set: []string{endpoint, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://u:s3cret@:x"}, want: []string{general}, warns: []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "want a URL"}},

		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_HEADERS=api-key=s3cret, X-Team = a%2Cb%20c ,"}, want: []string{"header Api-Key=s3cret", "header X-Team=a,b c"}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_HEADERS=a=1,b=2", "OTEL_EXPORTER_OTLP_TRACES_HEADERS=b=3"}, want: []string{"header B=3"}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_HEADERS=Authorization=Basic s3cret=="}, want: []string{"header Authorization=Basic s3cret=="}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_HEADERS=a=1,s3cret"}, warns: []string{"OTEL_EXPORTER_OTLP_HEADERS", "number 2 of its items is malformed: want name=value,name=value"}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_HEADERS=a=s3cret%zz"}, warns: []string{"OTEL_EXPORTER_OTLP_HEADERS", "number 1"}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_HEADERS==s3cret"}, warns: []string{"OTEL_EXPORTER_OTLP_HEADERS", "number 1"}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_HEADERS=a b=s3cret"}, warns: []string{"OTEL_EXPORTER_OTLP_HEADERS", "number 1"}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_HEADERS=a=1", "OTEL_EXPORTER_OTLP_TRACES_HEADERS=a=s3cret%0A"}, want: []string{"header A=1"}, warns: []string{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "number 1"}},

		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_TIMEOUT=2500"}, want: []string{"timeout=2.5s"}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_TIMEOUT=1", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=2000"}, want: []string{"timeout=2s"}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_TIMEOUT=0"}, want: []string{"timeout=8760h0m0s"}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_TIMEOUT=10s"}, warns: []string{"OTEL_EXPORTER_OTLP_TIMEOUT", `it is "10s": want a number of milliseconds`}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_TIMEOUT=2000", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=-1"}, want: []string{"timeout=2s"}, warns: []string{"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "milliseconds"}},

		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, warns: []string{"OTEL_EXPORTER_OTLP_PROTOCOL", `it is "grpc": want http/protobuf: larder speaks nothing else, and collectors listen for it at port 4318`}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf"}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json"}, warns: []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", `"http/json"`}},

		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_COMPRESSION=gzip"}, want: []string{"gzip=true"}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION=none"}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION=zstd"}, warns: []string{"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "want one of gzip, none"}},

		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_CERTIFICATE=" + authority.File}, want: []string{"authorities=true"}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE=" + noPEM}, warns: []string{"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "has no certificate in PEM"}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_CERTIFICATE=" + noPEM + ".missing"}, warns: []string{"OTEL_EXPORTER_OTLP_CERTIFICATE", ".missing"}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=" + cert, "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY=" + key}, want: []string{"certificates=1"}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=" + cert}, warns: []string{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "want it and OTEL_EXPORTER_OTLP_CLIENT_KEY, or neither"}},
		{set: []string{onlyOTLP, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=" + cert, "OTEL_EXPORTER_OTLP_CLIENT_KEY=" + noPEM}, warns: []string{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "tls"}},

		{set: []string{onlyOTLP, "OTEL_SERVICE_NAME=cache"}, want: []string{"resource=" + resource("cache", "v1")}},
		{set: []string{onlyOTLP, "OTEL_RESOURCE_ATTRIBUTES=service.version=v9,service.name=cache"}, want: []string{"resource=" + resource("cache", "v9")}},
		{set: []string{onlyOTLP, "OTEL_SERVICE_NAME=cache", "OTEL_RESOURCE_ATTRIBUTES=service.name=other"}, want: []string{"resource=" + resource("cache", "v1")}},
		{set: []string{onlyOTLP, "OTEL_RESOURCE_ATTRIBUTES=service.name=cache,s3cret"}, warns: []string{"OTEL_RESOURCE_ATTRIBUTES", "number 2"}},

		{set: []string{onlyOTLP, "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.5"}, want: []string{"sampler={0.5 false}"}},
		{set: []string{onlyOTLP, "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=1.5"}, warns: []string{"OTEL_TRACES_SAMPLER_ARG", `it is "1.5": want a number from 0 to 1`}},
		{set: []string{onlyOTLP, "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=NaN"}, warns: []string{"OTEL_TRACES_SAMPLER_ARG", "NaN"}},
		{set: []string{onlyOTLP, "OTEL_TRACES_SAMPLER=jaeger_remote"}, warns: []string{"OTEL_TRACES_SAMPLER", "always_on, always_off, traceidratio"}},
		{set: []string{onlyOTLP, "OTEL_PROPAGATORS=none"}, want: []string{"propagates=false"}},
		{set: []string{onlyOTLP, "OTEL_PROPAGATORS=b3,tracecontext"}, warns: []string{"OTEL_PROPAGATORS", "tracecontext, baggage, none"}},

		{set: []string{onlyOTLP, "OTEL_BSP_SCHEDULE_DELAY=0"}, want: []string{"delay=0s"}},
		{set: []string{onlyOTLP, "OTEL_BSP_EXPORT_TIMEOUT=1000"}, want: []string{"export=1s"}},
		{set: []string{onlyOTLP, "OTEL_BSP_MAX_QUEUE_SIZE=100"}, want: []string{"queue=100", "batch=100"}},
		{set: []string{onlyOTLP, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=10"}, want: []string{"batch=10"}},
		{set: []string{onlyOTLP, "OTEL_BSP_MAX_QUEUE_SIZE=0"}, warns: []string{"OTEL_BSP_MAX_QUEUE_SIZE", `it is "0": want a number from 1 to 1048576`}},
		{set: []string{onlyOTLP, "OTEL_BSP_MAX_QUEUE_SIZE=99999999999999999999"}, warns: []string{"OTEL_BSP_MAX_QUEUE_SIZE", "1048576"}},
		{set: []string{onlyOTLP, "OTEL_BSP_SCHEDULE_DELAY=5s"}, warns: []string{"OTEL_BSP_SCHEDULE_DELAY", "milliseconds"}},
	} {
		t.Run(strings.Join(test.set, " "), func(t *testing.T) {
			log := new(notes)
			cfg, on := trace.FromVariables(variables(test.set...), "v1", log.logger())
			var got []string
			if on {
				got = slices.DeleteFunc(describe(cfg), func(line string) bool { return slices.Contains(defaults, line) })
			} else {
				got = []string{off}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
			lines := log.lines(t)
			switch {
			case len(test.warns) == 0 && len(lines) > 0,
				len(test.warns) > 0 && (len(lines) != 1 || lines[0].Msg != test.warns[0]+" counts as not set" || !strings.Contains(lines[0].Err, test.warns[1])):
				t.Errorf("log: %s, want %q", log, test.warns)
			}
			if strings.Contains(log.String(), "s3cret") {
				t.Errorf("the log has a secret: %s", log)
			}
		})
	}
}

// resource returns how describe shows one.
func resource(name, version string) string {
	return fmt.Sprint([]trace.Attribute{trace.String("service.name", name), trace.String("service.version", version)})
}
