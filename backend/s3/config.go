package s3

import (
	"fmt"
	"net/url"

	"github.com/larderbuild/larder/backend"
)

// Config is what an S3 URL says. It has no credentials: they come from the AWS
// SDK's usual sources (environment, shared files, the machine).
type Config struct {
	Bucket    string
	Prefix    string // of all keys; may be empty
	Region    string // empty: the SDK's configuration decides
	Endpoint  string // URL of a server that is not Amazon's; empty: Amazon's
	PathStyle bool   // the bucket stands in the path, not in the host name
	Anonymous bool   // requests are not signed
}

// ParseConfig reads
// s3://bucket/prefix?region=…&endpoint=…&path_style=true&anonymous=true. Its
// errors repeat no secret.
func ParseConfig(rawURL string) (Config, error) {
	u, query, err := backend.ParseURL(rawURL, "region", "endpoint", "path_style", "anonymous")
	if err != nil {
		return Config{}, err
	}
	c := Config{Prefix: u.Path, Region: query.Get("region")}
	if c.Bucket, err = backend.ParseBucket(u); err != nil {
		return Config{}, err
	}
	if c.Endpoint, err = backend.ParseEndpoint(query.Get("endpoint")); err != nil {
		return Config{}, err
	}
	if c.PathStyle, err = parseBool(query, "path_style"); err != nil {
		return Config{}, err
	}
	c.Anonymous, err = parseBool(query, "anonymous")
	return c, err
}

func parseBool(query url.Values, name string) (bool, error) {
	switch query.Get(name) {
	case "true":
		return true, nil
	case "false", "":
		return false, nil
	}
	return false, fmt.Errorf("parameter %s must be true or false", name)
}
