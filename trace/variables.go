package trace

import (
	"cmp"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/larderbuild/larder/backend"
)

// FromVariables returns what the variables of OpenTelemetry's specification say, which get returns
// by their names. on is false unless they ask for traces: OTEL_TRACES_EXPORTER is otlp, or it is
// not set and an endpoint is. An empty variable counts as not set. So does one with a bad value,
// and log gets a warning, without what may be secret.
func FromVariables(get func(name string) string, version string, log *slog.Logger) (cfg Config, on bool) {
	v := variables{get, log}
	if disabled, _ := v.oneOf("OTEL_SDK_DISABLED", "true", "false"); disabled == "true" {
		return Config{}, false
	}
	target, _ := v.oneOf("OTEL_TRACES_EXPORTER", "otlp", "none")
	if target == "none" {
		return Config{}, false
	}
	endpoint, found := v.endpoint()
	if !found && target != "otlp" {
		return Config{}, false
	}
	cfg = Config{
		Sampler:       v.sampler(),
		Propagates:    v.propagates(),
		Resource:      v.resource(version),
		Version:       version,
		URL:           endpoint,
		Header:        forTraces("HEADERS", nil, v.header),
		Gzip:          forTraces("COMPRESSION", "none", v.compression) == "gzip",
		Transport:     backend.NewTransport(),
		Timeout:       limit(forTraces("TIMEOUT", 10*time.Second, v.milliseconds)),
		Delay:         orElse(v.milliseconds, "OTEL_BSP_SCHEDULE_DELAY", 5*time.Second),
		ExportTimeout: limit(orElse(v.milliseconds, "OTEL_BSP_EXPORT_TIMEOUT", 30*time.Second)),
		Queue:         orElse(v.size, "OTEL_BSP_MAX_QUEUE_SIZE", 2048),
	}
	cfg.Batch = min(orElse(v.size, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512), cfg.Queue)
	cfg.Transport.TLSClientConfig = v.tls()
	forTraces("PROTOCOL", "", v.protocol)
	return cfg, true
}

// The prefixes of the variables about the way to the collector: that for traces counts before
// that for all signals.
const (
	tracesPrefix  = "OTEL_EXPORTER_OTLP_TRACES_"
	generalPrefix = "OTEL_EXPORTER_OTLP_"
)

// forTraces returns what read makes of a variable about the way to the collector, or otherwise if
// none is set. name lacks the prefix.
func forTraces[T any](name string, otherwise T, read func(name string) (T, bool)) T {
	if value, ok := read(tracesPrefix + name); ok {
		return value
	}
	return orElse(read, generalPrefix+name, otherwise)
}

// orElse returns what read makes of a variable, or otherwise if it is not set.
func orElse[T any](read func(name string) (T, bool), name string, otherwise T) T {
	if value, ok := read(name); ok {
		return value
	}
	return otherwise
}

// unlimited stands for no limit.
const unlimited = 365 * 24 * time.Hour

// limit returns a limit in time as the variables have it, where 0 is none.
func limit(d time.Duration) time.Duration { return cmp.Or(d, unlimited) }

// endpoint returns the URL for spans, and whether a variable has it. The one for all signals lacks
// the path of traces.
func (v variables) endpoint() (endpoint string, found bool) {
	if u, ok := v.url(tracesPrefix + "ENDPOINT"); ok {
		return u.String(), true
	}
	if u, ok := v.url(generalPrefix + "ENDPOINT"); ok {
		return u.JoinPath("v1", "traces").String(), true
	}
	return "http://localhost:4318/v1/traces", false
}

func (v variables) url(name string) (*url.URL, bool) {
	value := v.value(name)
	if value == "" {
		return nil, false
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		v.warn(name, errors.New("want a URL such as http://localhost:4318")) // without the value, which may hold a password
		return nil, false
	}
	return u, true
}

func (v variables) compression(name string) (string, bool) { return v.oneOf(name, "gzip", "none") }

// protocol warns of protocols that larder does not speak.
func (v variables) protocol(name string) (string, bool) {
	value := v.value(name)
	if value != "" && !strings.EqualFold(value, "http/protobuf") {
		v.wrong(name, "http/protobuf: larder speaks nothing else, and collectors listen for it at port 4318")
		return "", false
	}
	return value, value != ""
}

// propagates reports whether requests belong to the traces that their headers name.
func (v variables) propagates() bool {
	const name = "OTEL_PROPAGATORS"
	items := splitList(strings.ToLower(v.value(name)))
	known := []string{"tracecontext", "baggage", "none"} // nothing in larder reads baggage
	for _, item := range items {
		if !slices.Contains(known, item) {
			v.wrong(name, "a list of "+strings.Join(known, ", "))
			return true
		}
	}
	return len(items) == 0 || slices.Contains(items, "tracecontext") && !slices.Contains(items, "none")
}

// sampler returns what OTEL_TRACES_SAMPLER and its argument say.
func (v variables) sampler() Sampler {
	kind, ok := v.oneOf("OTEL_TRACES_SAMPLER",
		"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio")
	if !ok {
		kind = "parentbased_always_on"
	}
	kind, isParentBased := strings.CutPrefix(kind, "parentbased_")
	s := Sampler{ParentBased: isParentBased}
	switch kind {
	case "always_on":
		s.Ratio = 1
	case "traceidratio":
		s.Ratio = orElse(v.ratio, "OTEL_TRACES_SAMPLER_ARG", 1)
	}
	return s
}

// resource returns what spans come from.
func (v variables) resource(version string) (resource []Attribute) {
	given := map[string]string{"service.name": "larder", "service.version": version}
	attributes, _ := v.pairs("OTEL_RESOURCE_ATTRIBUTES", func(pair) bool { return true })
	for _, a := range attributes {
		given[a.name] = a.value
	}
	if name := v.value("OTEL_SERVICE_NAME"); name != "" {
		given["service.name"] = name
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		resource = append(resource, String(name, given[name]))
	}
	return resource
}

// header returns what each request to the collector is to have.
func (v variables) header(name string) (http.Header, bool) {
	fields, ok := v.pairs(name, func(p pair) bool {
		return httpguts.ValidHeaderFieldName(p.name) && httpguts.ValidHeaderFieldValue(p.value)
	})
	h := http.Header{}
	for _, f := range fields {
		h.Set(f.name, f.value)
	}
	return h, ok
}
