package backend

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// The variables that say whom TLS trusts and as whom it presents itself. Each has the path of
// a PEM file.
const (
	caVariable   = "LARDER_TLS_CA"   // certificates of authorities, trusted besides the system's
	certVariable = "LARDER_TLS_CERT" // the client's certificate, and those that vouch for it
	keyVariable  = "LARDER_TLS_KEY"  // the key of that; may stand in the same file
)

// TLSConfig returns how a driver speaks TLS, as the environment says. It reads the files that
// the environment names. Its errors name the variable.
func TLSConfig() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if file := os.Getenv(caVariable); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", caVariable, err)
		}
		if c.RootCAs, err = x509.SystemCertPool(); err != nil {
			c.RootCAs = x509.NewCertPool()
		}
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: %s has no certificate in PEM", caVariable, file)
		}
	}
	certFile, keyFile := os.Getenv(certVariable), os.Getenv(keyVariable)
	switch {
	case certFile == "" && keyFile == "":
		return c, nil
	case certFile == "":
		return nil, errors.New(certVariable + " is not set, and " + keyVariable + " is")
	case keyFile == "":
		keyFile = certFile
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", certVariable, err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}
