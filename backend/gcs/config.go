package gcs

import (
	"cmp"
	"errors"
	"os"
	"strings"

	"github.com/larderbuild/larder/backend"
)

// Config is what a GCS URL says. It has no credentials: they come from Google's
// usual sources (GOOGLE_APPLICATION_CREDENTIALS, gcloud's own, the machine).
type Config struct {
	Bucket   string
	Prefix   string // of all keys; may be empty
	Endpoint string // URL of a server that is not Google's; empty: see server
}

// ParseConfig reads gs://bucket/prefix?endpoint=…. Its errors repeat no secret.
func ParseConfig(rawURL string) (Config, error) {
	u, query, err := backend.ParseURL(rawURL, "endpoint")
	if err != nil {
		return Config{}, err
	}
	c := Config{Prefix: u.Path}
	if c.Bucket, err = backend.ParseBucket(u); err != nil {
		return Config{}, err
	}
	c.Endpoint, err = backend.ParseEndpoint(query.Get("endpoint"))
	return c, err
}

// server returns the URL of the server, without a slash at its end, and whether requests to
// it have credentials. Without an endpoint it is the emulator that STORAGE_EMULATOR_HOST
// names, as for Google's own clients, and otherwise Google. Its errors repeat no secret.
func (cfg Config) server() (endpoint string, authorized bool, err error) {
	if cfg.Endpoint != "" {
		return cfg.Endpoint, os.Getenv("GOOGLE_APPLICATION_CREDENTIALS") != "", nil
	}
	host := os.Getenv("STORAGE_EMULATOR_HOST")
	if host == "" {
		return "https://storage." + universe(), true, nil
	}
	if !strings.Contains(host, "://") {
		host = "http://" + host
	}
	if endpoint, err = backend.ParseEndpoint(host); err != nil {
		return "", false, errors.New("STORAGE_EMULATOR_HOST must be of the form host:port or http://host:port")
	}
	return endpoint, false, nil
}

// googleapis is the domain of Google's public cloud.
const googleapis = "googleapis.com"

// universe returns the domain of the cloud: Google's public one, or the one that
// GOOGLE_CLOUD_UNIVERSE_DOMAIN names.
func universe() string {
	return cmp.Or(os.Getenv("GOOGLE_CLOUD_UNIVERSE_DOMAIN"), googleapis)
}
