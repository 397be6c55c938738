package trace_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/testserver"
	"github.com/larderbuild/larder/trace"
	"github.com/larderbuild/larder/trace/tracetest"
)

// TestTLS: the collector's certificate has to come from the authority that the variables name, and
// the collector learns who the server is by its own.
func TestTLS(t *testing.T) {
	t.Parallel()
	ours, others := testserver.NewAuthority(t), testserver.NewAuthority(t)
	collector := new(tracetest.Collector)
	server := httptest.NewUnstartedServer(collector)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
	pem, err := os.ReadFile(ours.File)
	if err != nil || !server.TLS.ClientCAs.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	cert, key := ours.Issue("collector", time.Now().Add(time.Hour))
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	server.TLS.Certificates = []tls.Certificate{pair}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)

	by := func(a *testserver.Authority) []string {
		cert, key := a.Issue("larder", time.Now().Add(time.Hour))
		return []string{"OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE=" + cert, "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY=" + key}
	}
	trusts := func(a *testserver.Authority) string { return "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE=" + a.File }
	for _, test := range []struct {
		name  string
		set   []string
		fails string // a part of what is logged
	}{
		{"both know each other", append(by(ours), trusts(ours)), ""},
		{"no client certificate", []string{trusts(ours)}, " "}, // the connection may break before the reason comes,
		{"another authority's client", append(by(others), trusts(ours)), " "},
		{"another authority's collector", append(by(ours), trusts(others)), "certificate signed by unknown authority"},
		{"the system's authorities", by(ours), "certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			said := new(notes)
			before := len(collector.Spans())
			cfg, _ := trace.FromVariables(variables(append(test.set, "OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL)...), "v1", said.logger())
			tracer := trace.New(cfg, said.logger())
			_, span := tracer.Serve(t.Context(), nil, "request")
			span.End()
			tracer.Shutdown(t.Context())
			if got := len(collector.Spans()) - before; (got == 1) != (test.fails == "") {
				t.Errorf("%d spans", got)
			}
			if lines := said.lines(t); test.fails == "" && len(lines) > 0 || test.fails != "" && (len(lines) != 1 || !strings.Contains(lines[0].Err, test.fails)) {
				t.Errorf("the log: %s, want %q", said, test.fails)
			}
		})
	}
}
