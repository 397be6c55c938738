package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	urfave "github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/dir"
	"github.com/larderbuild/larder/backend/open"
	"github.com/larderbuild/larder/collect"
	"github.com/larderbuild/larder/serve"
	"github.com/larderbuild/larder/trace"
)

func (p *program) serveCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "serve",
		Usage: "be the remote of other machines, in front of a directory or any other store",
		Description: "Clients set LARDER_REMOTE to http://host:port. Other build tools find their caches below\n" +
			"/cache, and Bazel below /ac and /cas, or over gRPC at the same port. A browser shows at /\n" +
			"whether the cache pays. The server writes a line about each request to stdout, in JSON. It\n" +
			"ends with the first interrupt, once the requests under way have ended.\n" +
			"OTEL_EXPORTER_OTLP_ENDPOINT has it send traces to a collector. See docs/serve.md.",
		Flags: append([]urfave.Flag{
			&urfave.StringFlag{Name: "listen", Value: "localhost:8080", Usage: "`ADDRESS` to listen at; :8080 stands for all of this machine"},
			&urfave.StringFlag{Name: "store", Usage: "`URL` of the store, as for LARDER_REMOTE", DefaultText: "the folder larder-serve in the user's cache directory"},
			&urfave.StringFlag{Name: "access", Usage: "`FILE` of rules that say who reads and writes what"},
			&urfave.StringFlag{Name: "anonymous", Usage: "`RIGHT` of everybody, without --access: none, read or write", DefaultText: "write if only this machine can reach --listen"},
			&urfave.StringFlag{Name: "tls-cert", Usage: "`FILE` of the server's certificate, in PEM, for https"},
			&urfave.StringFlag{Name: "tls-key", Usage: "`FILE` of the key of --tls-cert", DefaultText: "the file of --tls-cert"},
			&urfave.StringFlag{Name: "tls-client-ca", Usage: "`FILE` of authorities, in PEM, whose client certificates the rules know"},
			&urfave.StringSliceFlag{Name: "oidc-issuer", Usage: "`URL` of an issuer of OpenID Connect tokens that the rules know, such as https://token.actions.githubusercontent.com; may be given several times"},
			&urfave.StringFlag{Name: "oidc-audience", Usage: "`AUDIENCE` for which these tokens are made: the URL of this server, as clients have it, without a path"},
			&urfave.StringFlag{Name: "hmac-key-file", Usage: "`FILE` of a key for the signatures of what lies below /cache"},
			&urfave.StringFlag{Name: "max-size", Usage: "`SIZE` to which the store is trimmed once an hour, what was not used for the longest time first: that of other tools, and then larder's own; 0: no limit", DefaultText: "20GiB for a directory, otherwise 0"},
			&urfave.StringFlag{Name: "max-body", Value: "1GiB", Usage: "`SIZE` of the largest object"},
			&urfave.StringFlag{Name: "requests", Value: "256", Usage: "`NUMBER` of requests that are worked on at once"},
		}, tierFlags()...),
		Action: p.action(p.serveStore),
	}
}

const (
	endTime      = 30 * time.Second // for requests under way once the server is to end
	mostRequests = 100_000          // at once
)

// serverRetry is impatient: a client waits, and may try again by itself.
var serverRetry = backend.Retry{Backoff: 50 * time.Millisecond, MaxBackoff: time.Second, Patience: time.Second}

func (p *program) serveStore(ctx context.Context, cmd *urfave.Command, s settings) (err error) {
	log := slog.New(slog.NewJSONHandler(p.stdout, nil))
	cfg, err := serveConfig(cmd, log)
	if err != nil {
		return err
	}
	store, err := servedURL(cmd)
	if err != nil {
		return err
	}
	maxSize, err := maxServed(cmd, store)
	if err != nil {
		return err
	}
	var tlsConfig *tls.Config
	scheme := "http"
	if files := certificates(cmd); files.Cert != "" {
		scheme = "https"
		if tlsConfig, err = files.Config(log); err != nil {
			return serveUsage("--tls-cert, --tls-key, --tls-client-ca: %w", err)
		}
	}
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", cmd.String("listen"))
	if err != nil {
		return serveUsage("--listen: %w", err)
	}

	var counters backend.Counters
	served := backend.WithRetry(backend.WithLimit(openDriver(store, s, &counters, log), connections), serverRetry)
	if cfg.Tier, err = openTier(served, store, s.readOnly, cmd, log); err != nil {
		return errors.Join(err, served.Close(), listener.Close())
	}
	switch {
	case cfg.Tier != nil:
		cfg.Store = cfg.Tier
	case s.readOnly:
		cfg.Store = backend.ReadOnly(served)
	default:
		cfg.Store = served
	}
	defer func() { err = errors.Join(err, cfg.Store.Close()) }()
	cfg.Evicts = maxSize > 0 && !s.readOnly
	if traces, on := trace.FromVariables(p.environ.get, thisVersion().Version, log); on {
		cfg.Tracer = trace.New(traces, log)
		defer cfg.Tracer.Shutdown(context.WithoutCancel(ctx))
	}
	handler := serve.New(cfg)
	defer handler.Close()
	server := handler.HTTP()
	server.TLSConfig = tlsConfig
	if cfg.Evicts {
		gc := collect.Config{MaxAge: s.remoteMaxAge, MaxSize: maxSize, Trust: s.policy.Trust, Log: log, Planned: func(int) {}, Done: func() {}}
		defer repeat(ctx, func(ctx context.Context) time.Duration { return trimServed(ctx, handler, gc) })()
	}
	if open.Traits(store).Ownerless { // lists of another store may cost money
		defer repeat(ctx, func(ctx context.Context) time.Duration { return surveyServed(ctx, handler, log) })()
	}
	log.Info("serving", "address", scheme+"://"+listener.Addr().String(), "store", open.Redact(store))
	return serveUntil(ctx, server, listener)
}

// servedURL returns the URL of the store. It makes the folder of one that is a directory.
func servedURL(cmd *urfave.Command) (store string, err error) {
	if store = cmd.String("store"); store == "" {
		if store, err = defaultServed(); err != nil {
			return "", err
		}
	}
	switch err := open.Check(store); {
	case err != nil:
		return "", serveUsage("--store is %q: %w", open.Redact(store), err)
	case open.Traits(store).Appends:
		return "", serveUsage("--store is %q: want a store that replaces what it has", open.Redact(store))
	case !open.Traits(store).Ownerless:
		return store, nil
	}
	folder, err := dir.ParseConfig(store)
	if err == nil {
		err = os.MkdirAll(folder.Dir, 0o700) // nobody else need reach it
	}
	if err != nil {
		return "", serveUsage("--store is %q: %w", store, err)
	}
	return store, nil
}

// serveUntil serves until ctx is done or the system asks the process to end.
func serveUntil(ctx context.Context, server *http.Server, listener net.Listener) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM) // besides the interrupt
	defer stop()
	failed := make(chan error, 1)
	go func() {
		if server.TLSConfig != nil {
			failed <- server.ServeTLS(listener, "", "")
		} else {
			failed <- server.Serve(listener)
		}
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	signal.Reset() // a second signal ends it at once
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	if err := server.Shutdown(ending); err != nil {
		return errors.Join(fmt.Errorf("requests were under way for %v more, and are cut off", endTime), server.Close())
	}
	return nil
}

func serveUsage(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...), "larder serve --help lists its options"}
}

// defaultServed returns the URL of the store without --store.
func defaultServed() (string, error) {
	cacheDir, err := os.UserCacheDir()
	if err != nil {
		return "", serveUsage("--store is not set, and there is no default: %w", err)
	}
	folder := filepath.ToSlash(filepath.Join(cacheDir, "larder-serve"))
	return "file:///" + strings.TrimPrefix(strings.ReplaceAll(folder, "%", "%25"), "/"), nil
}

// certificates returns the files that cmd names.
func certificates(cmd *urfave.Command) serve.Certificates {
	cert := cmd.String("tls-cert")
	return serve.Certificates{Cert: cert, Key: cmp.Or(cmd.String("tls-key"), cert), ClientCA: cmd.String("tls-client-ca")}
}

// serveConfig returns what the flags of cmd say, without the store.
func serveConfig(cmd *urfave.Command, log *slog.Logger) (serve.Config, error) {
	cfg := serve.Config{Progress: time.Minute, TempDir: os.TempDir(), Log: log}
	if err := os.MkdirAll(cfg.TempDir, 0o700); err != nil { // an image may have none
		return cfg, serveUsage("the folder for temporary files (TMPDIR) can't be had: %w", err)
	}
	var err error
	if cfg.Requests, err = strconv.Atoi(cmd.String("requests")); err != nil || cfg.Requests < 1 || cfg.Requests > mostRequests {
		return cfg, serveUsage("--requests is %q: want a number from 1 to %d", cmd.String("requests"), mostRequests)
	}
	err = parseSize(&cfg.MaxObject, cmd.String("max-body"))
	if err == nil && cfg.MaxObject == 0 {
		err = errors.New("want a size above 0")
	}
	if err != nil {
		return cfg, serveUsage("--max-body is %q: %w", cmd.String("max-body"), err)
	}
	if cmd.String("tls-cert") == "" && (cmd.String("tls-key") != "" || cmd.String("tls-client-ca") != "") {
		return cfg, serveUsage("--tls-cert is missing: --tls-key and --tls-client-ca need it")
	}
	if file := cmd.String("hmac-key-file"); file != "" {
		key, err := os.ReadFile(file)
		if err != nil {
			return cfg, serveUsage("--hmac-key-file: %w", err)
		}
		if cfg.HMACKey = bytes.TrimSpace(key); len(cfg.HMACKey) == 0 {
			return cfg, serveUsage("--hmac-key-file: %s is empty", file)
		}
	}
	cfg.Local = cmd.String("access") == "" && cmd.String("anonymous") == "" // then whoever asks may do everything
	cfg.Access, err = serveAccess(cmd, log)
	return cfg, err
}

// serveAccess returns who may do what.
func serveAccess(cmd *urfave.Command, log *slog.Logger) (*serve.Access, error) {
	access, err := serveRules(cmd, log)
	if err != nil {
		return nil, err
	}
	issuers, audience := cmd.StringSlice("oidc-issuer"), cmd.String("oidc-audience")
	switch {
	case (len(issuers) > 0) != (audience != ""):
		return nil, serveUsage("want --oidc-issuer and --oidc-audience, or neither")
	case audience != "" && cmd.String("access") == "":
		return nil, serveUsage("--access is missing: its rules say what the tokens of --oidc-issuer allow")
	}
	for _, issuer := range issuers {
		u, err := url.Parse(issuer)
		if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !backend.IsLoopback(u.Hostname())) {
			return nil, serveUsage("--oidc-issuer is %q: want an https URL, as it stands in the tokens", issuer)
		}
		access.AddIssuer(issuer, audience)
	}
	rules := access.Rules()
	if len(rules.OIDC) > 0 && len(issuers) == 0 {
		log.Warn("the rules in oidc have no effect without --oidc-issuer and --oidc-audience")
	}
	if len(rules.Certificates) > 0 && cmd.String("tls-client-ca") == "" {
		log.Warn("the rules in certificates have no effect without --tls-client-ca")
	}
	return access, nil
}

// serveRules returns who may do what, without issuers.
func serveRules(cmd *urfave.Command, log *slog.Logger) (*serve.Access, error) {
	file, anonymous := cmd.String("access"), cmd.String("anonymous")
	if file != "" {
		if anonymous != "" {
			return nil, serveUsage("--anonymous is for a server without --access: the rules say what everybody may do")
		}
		access, err := serve.LoadAccess(file, log)
		if err != nil {
			return nil, serveUsage("--access: %w", err)
		}
		return access, nil
	}
	if anonymous == "" {
		host, _, err := net.SplitHostPort(cmd.String("listen"))
		if err != nil {
			return nil, serveUsage("--listen is %q: want host:port, or :port for all of this machine", cmd.String("listen"))
		}
		if !backend.IsLoopback(host) {
			return nil, serveUsage("other machines can reach --listen=%s: say who may do what with --access=FILE, or --anonymous=write if everybody may", cmd.String("listen"))
		}
		anonymous = "write"
	}
	all := []string{"*"}
	switch anonymous {
	case "none":
		return serve.NewAccess(&serve.Rules{}, log), nil
	case "read":
		return serve.NewAccess(&serve.Rules{Anonymous: serve.Rights{Read: all}}, log), nil
	case "write":
		return serve.NewAccess(&serve.Rules{Anonymous: serve.Rights{Read: all, Write: all}}, log), nil
	}
	return nil, serveUsage("--anonymous is %q: want none, read or write", anonymous)
}
