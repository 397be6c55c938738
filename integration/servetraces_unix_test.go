//go:build unix

package integration

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/larderbuild/larder/trace/tracetest"
)

// TestServeTraces: larder serve sends a collector the spans of its requests, at its end at the
// latest, if the variables of OpenTelemetry say where that is.
func TestServeTraces(t *testing.T) {
	t.Parallel()
	collector := new(tracetest.Collector)
	listening := httptest.NewServer(collector)
	t.Cleanup(listening.Close)
	for _, test := range []struct {
		name string
		set  []string
		want []string // names of spans
		says string   // in the log
	}{
		{"on", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + listening.URL, "OTEL_EXPORTER_OTLP_HEADERS=key=s3cret", "OTEL_BSP_SCHEDULE_DELAY=3600000", "OTEL_SERVICE_NAME=cache"},
			[]string{"GET /v1/{key}", "store get"}, ""},
		{"a bad value", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + listening.URL, "OTEL_EXPORTER_OTLP_HEADERS=key=s3cret", "OTEL_TRACES_SAMPLER=some"},
			[]string{"GET /v1/{key}", "store get"}, "OTEL_TRACES_SAMPLER counts as not set"},
		{"disabled", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + listening.URL, "OTEL_SDK_DISABLED=true"}, nil, ""},
		{"not asked for", []string{"OTEL_SERVICE_NAME=cache"}, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := len(collector.Spans())
			log := askServer(t, environ(test.set...))
			var names []string
			for _, span := range collector.Spans()[before:] {
				names = append(names, span.Name)
				if hex.EncodeToString(span.TraceId) != "0af7651916cd43dd8448eb211c80319c" {
					t.Errorf("trace %x", span.TraceId)
				}
			}
			slices.Sort(names)
			if !slices.Equal(names, test.want) {
				t.Errorf("spans %q, want %q", names, test.want)
			}
			if !strings.Contains(log, test.says) || strings.Contains(log, "s3cret") || test.says == "" && strings.Contains(log, "WARN") {
				t.Error(log)
			}
		})
	}
	all, err := collector.Requests()
	if err != nil || len(all) == 0 {
		t.Fatalf("%d requests, %v", len(all), err)
	}
	resource := tracetest.Attributes(all[0].ResourceSpans[0].Resource.Attributes)
	if all[0].Path != "POST /v1/traces" || all[0].Header.Get("Key") != "s3cret" || resource["service.name"] != "cache" || resource["service.version"] == "" {
		t.Errorf("%s, %v, %v", all[0].Path, all[0].Header, resource)
	}
}

// askServer starts larder serve with an environment, asks it for an object, ends it, and returns
// its log.
func askServer(t *testing.T, env []string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), larder, "serve", "--listen=127.0.0.1:0", "--store", fileURL(filepath.Join(t.TempDir(), "served")))
	cmd.Env = env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		var line struct{ Msg, Address string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.Msg != "serving" {
			continue
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, line.Address+"/v1/main/missing", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil || stderr.String() != "" {
		t.Errorf("%v: %s", err, &stderr)
	}
	return log.String()
}
