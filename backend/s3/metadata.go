package s3

import (
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
)

// metadata is the client of the service that gives a machine of Amazon's its
// credentials. On other machines mostly nobody answers. So, unlike the SDK's own client,
// it does not wait long, and once a request has failed it makes no others.
type metadata struct {
	*imds.Client // set once the configuration is loaded
	failed       atomic.Bool
	next         http.RoundTripper
}

const (
	// metadataConnect is many times what it takes to reach the service, which runs on
	// the same host or beside it.
	metadataConnect = 100 * time.Millisecond

	// metadataAnswer is the limit of a whole request. The service doesn't answer where
	// a machine's containers must not have its credentials.
	metadataAnswer = 250 * time.Millisecond
)

// use makes the SDK ask m.
func (m *metadata) use(o *ec2rolecreds.Options) { o.Client = m }

// configure makes m's client. It is called before the first use.
func (m *metadata) configure(sdk aws.Config) {
	m.next = &http.Transport{ // without a proxy: the address is the host's own
		DialContext:       (&net.Dialer{Timeout: metadataConnect}).DialContext,
		DisableKeepAlives: true,
	}
	m.Client = imds.NewFromConfig(sdk, func(o *imds.Options) {
		o.HTTPClient = &http.Client{Transport: m, Timeout: metadataAnswer}
	})
}

var errNoMetadata = errors.New("no answer from the machine's metadata service")

// RoundTrip does what http.RoundTripper says, until a request fails.
func (m *metadata) RoundTrip(req *http.Request) (*http.Response, error) {
	if m.failed.Load() {
		return nil, errNoMetadata
	}
	res, err := m.next.RoundTrip(req)
	if err != nil {
		m.failed.Store(true)
	}
	return res, err
}
