package gcs

import "github.com/larderbuild/larder/backend"

// Config is what a GCS URL says. It has no credentials: they come from Google's
// usual sources (GOOGLE_APPLICATION_CREDENTIALS, gcloud's own, the machine).
type Config struct {
	Bucket   string
	Prefix   string // of all keys; may be empty
	Endpoint string // URL of a server that is not Google's; empty: Google's
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
