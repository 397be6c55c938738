package serve

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Certificates are files in PEM that TLS needs. They are read again when one changes.
type Certificates struct {
	Cert, Key string // of the server
	ClientCA  string // authorities whose clients have names for Rules; "": none
}

// Config returns how the server speaks TLS. While a file that has changed is of no use, the
// one before serves, and log says so.
func (c Certificates) Config(log *slog.Logger) (*tls.Config, error) {
	l := &loadedCertificates{files: c, log: log}
	if err := l.load(); err != nil {
		return nil, err
	}
	config := l.config.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return l.current(), nil }
	return config, nil
}

// loadedCertificates is what Certificates have made.
type loadedCertificates struct {
	files Certificates
	log   *slog.Logger

	mu      sync.Mutex
	config  *tls.Config
	state   string // of the files, as they were read
	checked time.Time
}

// look returns the times and sizes of the files.
func (c Certificates) look() (state string) {
	for _, file := range []string{c.Cert, c.Key, c.ClientCA} {
		if info, err := os.Stat(file); err == nil {
			state += fmt.Sprint(info.Size(), info.ModTime().UnixNano(), ";")
		}
	}
	return state
}

// load reads the files.
func (l *loadedCertificates) load() error {
	l.state = l.files.look()
	pair, err := tls.LoadX509KeyPair(l.files.Cert, l.files.Key)
	if err != nil {
		return fmt.Errorf("the server's certificate: %w", err)
	}
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
		Certificates: []tls.Certificate{pair},
	}
	if l.files.ClientCA != "" {
		pem, err := os.ReadFile(l.files.ClientCA)
		if err != nil {
			return fmt.Errorf("authorities of clients: %w", err)
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("authorities of clients: %s has no certificate in PEM", l.files.ClientCA)
		}
		config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	l.config = config
	return nil
}

// current returns the configuration by the files as they are now.
func (l *loadedCertificates) current() *tls.Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.checked) >= recheck {
		l.checked = time.Now()
		if l.files.look() != l.state {
			if err := l.load(); err != nil {
				l.log.Error("the certificates stay as they were", "err", err)
			}
		}
	}
	return l.config
}
