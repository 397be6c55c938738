package s3

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/larderbuild/larder/backend"
)

// Config is what an S3 URL says. It has no credentials: they come from the AWS
// SDK's usual sources (environment, shared files, the machine).
type Config struct {
	Bucket    string // or tenant:bucket, or the ARN of an access point
	Prefix    string // of all keys; may be empty
	Region    string // empty: the SDK's configuration decides
	Endpoint  string // URL of a server that is not Amazon's; empty: the SDK's configuration decides
	PathStyle bool   // the bucket stands in the path, not in the host name
	Anonymous bool   // requests are not signed

	Payer types.RequestPayer // who pays for requests; empty: the bucket's owner

	// These are properties of the objects that a Put makes. Where they are empty, the
	// bucket decides.
	Encryption   types.ServerSideEncryption
	KMSKey       string
	ACL          types.ObjectCannedACL
	StorageClass types.StorageClass

	largestPut int64 // for tests: in place of the constant
}

// Values of parameters.
var (
	encryptions = []types.ServerSideEncryption{
		types.ServerSideEncryptionAes256, types.ServerSideEncryptionAwsKms, types.ServerSideEncryptionAwsKmsDsse,
	}

	// storageClasses are those from which an object can be read at once.
	storageClasses = []types.StorageClass{
		types.StorageClassStandard, types.StorageClassStandardIa, types.StorageClassIntelligentTiering,
		types.StorageClassOnezoneIa, types.StorageClassExpressOnezone, types.StorageClassGlacierIr,
		types.StorageClassReducedRedundancy,
	}
)

// ParseConfig reads s3://bucket/prefix?name=value&…, with parameters for each field of
// Config. Its errors repeat no secret.
func ParseConfig(rawURL string) (Config, error) {
	bucket, rest := cutBucket(rawURL)
	u, query, err := backend.ParseURL(rest, "region", "endpoint", "path_style", "anonymous",
		"requester_pays", "sse", "kms_key", "acl", "storage_class")
	if err != nil {
		return Config{}, err
	}
	c := Config{Prefix: u.Path, Region: query.Get("region"), KMSKey: query.Get("kms_key")}
	if bucket == "" {
		c.Bucket, err = backend.ParseBucket(u)
	} else {
		err = c.setBucket(bucket)
	}
	if err != nil {
		return Config{}, err
	}
	if c.Endpoint, err = backend.ParseEndpoint(query.Get("endpoint")); err != nil {
		return Config{}, err
	}
	if err := c.setParams(query); err != nil {
		return Config{}, err
	}
	return c, nil
}

// setParams sets what has one of a few values.
func (c *Config) setParams(query url.Values) error {
	var requesterPays bool
	for _, err := range []error{
		backend.ParseBool(&c.PathStyle, query, "path_style"),
		backend.ParseBool(&c.Anonymous, query, "anonymous"),
		backend.ParseBool(&requesterPays, query, "requester_pays"),
		parseOneOf(&c.Encryption, query, "sse", encryptions),
		parseOneOf(&c.ACL, query, "acl", c.ACL.Values()),
		parseOneOf(&c.StorageClass, query, "storage_class", storageClasses),
	} {
		if err != nil {
			return err
		}
	}
	if requesterPays {
		c.Payer = types.RequestPayerRequester
	}
	if c.KMSKey != "" && !strings.HasPrefix(string(c.Encryption), "aws:kms") {
		return errors.New("parameter kms_key goes with sse=aws:kms or sse=aws:kms:dsse")
	}
	return nil
}

// parseOneOf sets v to the value of a parameter, if there is one.
func parseOneOf[T ~string](v *T, query url.Values, name string, allowed []T) error {
	value := T(query.Get(name))
	if value == "" || slices.Contains(allowed, value) {
		*v = value
		return nil
	}
	var names []string
	for _, a := range allowed {
		names = append(names, string(a))
	}
	return fmt.Errorf("parameter %s must be one of %s", name, strings.Join(names, ", "))
}
