package s3

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/larderbuild/larder/backend"
)

// cutBucket cuts the name of a bucket that has colons out of a URL, which net/url would
// take for a host and a port. There are two such names: the ARN of an access point, and
// tenant:bucket, which Ceph knows. cutBucket returns "" and the whole URL if there is
// none.
func cutBucket(rawURL string) (bucket, rest string) {
	scheme, address, found := strings.Cut(rawURL, "://")
	end := strings.IndexAny(address+"?", "?#")
	address, query := address[:end], address[end:]
	host, _, _ := strings.Cut(address, "/")
	_, afterColon, colon := strings.Cut(host, ":")
	switch {
	case !found || !colon, strings.Contains(address, "@"): // a password may come before the @
		return "", rawURL
	case strings.HasPrefix(host, "arn:"):
		bucket = cutARN(address)
	case strings.Trim(afterColon, "0123456789") == "": // a port
		return "", rawURL
	default:
		bucket = host
	}
	return bucket, scheme + "://" + address[len(bucket):] + query
}

// cutARN returns the ARN with which address begins. A slash after it begins a prefix.
func cutARN(address string) string {
	accessPoint := regexp.MustCompile(`^arn:[^/]*:(outpost[:/][^:/]+[:/])?accesspoint[:/][^:/]+`)
	if arn := accessPoint.FindString(address); arn != "" {
		return arn
	}
	arn, _, _ := strings.Cut(address, "/")
	return arn
}

// setBucket sets the bucket to a name that cutBucket has returned.
func (c *Config) setBucket(name string) error {
	if strings.HasPrefix(name, "arn:") {
		return c.setARN(name)
	}
	tenant, bucket, _ := strings.Cut(name, ":")
	if tenant == "" || strings.Contains(bucket, ":") {
		return fmt.Errorf("bucket %q has a colon: allowed are tenant:bucket, and the ARN of an access point", name)
	}
	if _, err := backend.ParseBucket(&url.URL{Host: bucket}); err != nil {
		return err
	}
	c.Bucket, c.PathStyle = name, true // no host name has a colon
	return nil
}

const arnForm = "arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME"

// setARN sets the bucket to an access point, whose ARN also names its region.
func (c *Config) setARN(arn string) error {
	parts := strings.SplitN(arn, ":", 6) // arn, partition, service, region, account, resource
	switch {
	case len(parts) < 6:
		return fmt.Errorf("%q is no ARN: allowed are those of access points, %s", arn, arnForm)
	case parts[2] == "s3" && parts[3] == "" && parts[4] == "":
		return fmt.Errorf("%q is the ARN of a bucket: write the bucket's name, s3://%s", arn, parts[5])
	case parts[2] != "s3" && parts[2] != "s3-outposts", parts[4] == "", !strings.Contains(parts[5], "accesspoint"):
		return fmt.Errorf("%q is not the ARN of an access point: allowed are those, %s", arn, arnForm)
	}
	if c.Region == "" {
		c.Region = parts[3] // empty for an access point of several regions
	}
	c.Bucket = arn
	return nil
}
