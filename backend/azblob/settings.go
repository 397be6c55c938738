package azblob

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/larderbuild/larder/backend"
)

// These variables say how to get at a storage account. The az command has the same ones.
const (
	connectionVariable = "AZURE_STORAGE_CONNECTION_STRING"
	accountVariable    = "AZURE_STORAGE_ACCOUNT"
	sasVariable        = "AZURE_STORAGE_SAS_TOKEN"
	keyVariable        = "AZURE_STORAGE_KEY"
)

// settings is what the environment says about an account.
type settings struct {
	endpoint string // URL of its blob service
	key      *container.SharedKeyCredential
	sas      string // the query of requests
	unused   string // which variable is of another account, for errors
}

// settings returns what the environment says about the account of cfg.
func (cfg Config) settings() (settings, error) {
	if cfg.Anonymous {
		return settings{}, nil
	}
	c, unused, err := cfg.connection()
	if err != nil {
		return settings{}, err
	}
	found := settings{endpoint: c.endpoint, unused: unused}
	if found.sas, err = parseSAS(c.sas); err == nil && c.key != "" {
		found.key, err = container.NewSharedKeyCredential(cfg.Account, strings.TrimSpace(c.key))
	}
	if err != nil {
		return settings{}, fmt.Errorf("%s: %w", c.variable, err)
	}
	return found, nil
}

// connection returns what a connection string says about the account of cfg, otherwise a
// SAS token, otherwise a key. What is of another account counts for nothing; unused says
// which variable is.
func (cfg Config) connection() (c connection, unused string, err error) {
	if text := os.Getenv(connectionVariable); text != "" {
		c, err := parseConnection(text)
		switch {
		case err == nil && c.account != cfg.Account:
			unused = fmt.Sprintf(" (%s is of another account)", connectionVariable)
		case err == nil && c.key == "" && c.sas == "":
			return c, "", fmt.Errorf("%s has neither an AccountKey nor a SharedAccessSignature", connectionVariable)
		case err != nil:
			return c, "", fmt.Errorf("%s %w", connectionVariable, err)
		default:
			return c, "", nil
		}
	}
	if account := os.Getenv(accountVariable); account != "" && account != cfg.Account {
		return connection{}, fmt.Sprintf(" (%s names another account)", accountVariable), nil
	}
	if sas := os.Getenv(sasVariable); sas != "" {
		return connection{variable: sasVariable, sas: sas}, unused, nil
	}
	return connection{variable: keyVariable, key: os.Getenv(keyVariable)}, unused, nil
}

// parseSAS checks a SAS token, with or without a question mark before it, and returns it as
// a query. An empty one stays empty. Its errors repeat nothing of it.
func parseSAS(token string) (query string, err error) {
	query = strings.TrimPrefix(strings.TrimSpace(token), "?")
	values, err := url.ParseQuery(query)
	if query != "" && (err != nil || values.Get("sig") == "") {
		return "", errors.New("this is no SAS token: one looks like sv=…&se=…&sig=…")
	}
	return query, nil
}

// expiry returns until when a SAS token is good, or the zero time if that does not stand in
// it.
func expiry(query string) time.Time {
	values, _ := url.ParseQuery(query) // parseSAS has checked it
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", time.DateOnly} {
		if until, err := time.Parse(layout, values.Get("se")); err == nil {
			return until
		}
	}
	return time.Time{}
}

// connection is what a variable says about an account.
type connection struct{ variable, account, endpoint, key, sas string }

// parseConnection parses a connection string, such as Azure's portal shows it. Its errors
// repeat nothing of it.
func parseConnection(text string) (c connection, err error) {
	fields := make(map[string]string)
	for field := range strings.SplitSeq(strings.Trim(text, "; \r\n"), ";") {
		name, value, found := strings.Cut(field, "=")
		if !found {
			return c, errors.New("is malformed: it must be of the form AccountName=…;AccountKey=…")
		}
		fields[strings.TrimSpace(name)] = value
	}
	c = connection{
		variable: connectionVariable,
		account:  fields["AccountName"],
		endpoint: fields["BlobEndpoint"],
		key:      fields["AccountKey"],
		sas:      fields["SharedAccessSignature"],
	}
	if c.endpoint == "" && c.account != "" {
		c.endpoint = cmp.Or(fields["DefaultEndpointsProtocol"], "https") + "://" + c.account +
			".blob." + cmp.Or(fields["EndpointSuffix"], "core.windows.net")
	}
	if c.endpoint, err = backend.ParseEndpoint(c.endpoint); err != nil {
		return c, errors.New("has a BlobEndpoint that is not of the form https://host/path")
	}
	if c.account == "" { // with a SAS token it need not be there
		host, _, _ := strings.Cut(strings.TrimPrefix(c.endpoint, "https://"), ".")
		c.account = host
	}
	return c, nil
}

// withSAS adds a SAS token to requests. It does so below the HTTP client, whose errors
// quote URLs.
type withSAS struct {
	next  http.RoundTripper
	query string
}

func (w withSAS) RoundTrip(req *http.Request) (*http.Response, error) {
	signed := req.Clone(req.Context())
	if signed.URL.RawQuery != "" {
		signed.URL.RawQuery += "&"
	}
	signed.URL.RawQuery += w.query
	res, err := w.next.RoundTrip(signed)
	if res != nil {
		res.Request = req
	}
	return res, err
}
