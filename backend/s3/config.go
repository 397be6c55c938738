package s3

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/larderbuild/larder/backend"
)

// Config is what an S3 URL says. Credentials are not part of it: they come
// from the AWS SDK's ordinary chain (environment, shared files, the machine).
type Config struct {
	Bucket    string
	Prefix    string // of all keys; may be empty
	Region    string // empty: as the SDK is configured
	Endpoint  string // of a server that is not Amazon's; empty: Amazon's
	PathStyle bool   // the bucket stands in the path, not in the host name
	Anonymous bool   // requests are not signed
}

// ParseConfig reads
// s3://bucket/prefix?region=…&endpoint=…&path_style=true&anonymous=true.
func ParseConfig(rawURL string) (Config, error) {
	u, query, err := backend.ParseURL(rawURL, "region", "endpoint", "path_style", "anonymous")
	if err != nil {
		return Config{}, err
	}
	c := Config{Bucket: u.Hostname(), Prefix: u.Path, Region: query.Get("region")}
	if c.Bucket == "" {
		return Config{}, errors.New("the bucket is missing: write s3://bucket or s3://bucket/prefix")
	}
	if u.Port() != "" {
		return Config{}, fmt.Errorf("bucket %q must not have a port: a server's address goes into the parameter endpoint", c.Bucket)
	}
	if c.Endpoint, err = backend.ParseEndpoint(query.Get("endpoint")); err != nil {
		return Config{}, err
	}
	for name, field := range map[string]*bool{"path_style": &c.PathStyle, "anonymous": &c.Anonymous} {
		if !query.Has(name) {
			continue
		}
		if *field, err = strconv.ParseBool(query.Get(name)); err != nil {
			return Config{}, fmt.Errorf("parameter %s must be true or false", name)
		}
	}
	return c, nil
}
