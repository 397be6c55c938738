package trace

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// variables reads values of variables. Its methods return false for a variable that is empty or
// not set, and for a bad value, of which they warn.
type variables struct {
	get func(name string) string
	log *slog.Logger
}

// value returns that of a variable. The specification has spaces around it ignored.
func (v variables) value(name string) string { return strings.TrimSpace(v.get(name)) }

// warn logs that the value of a variable is bad. err says what is allowed.
func (v variables) warn(name string, err error) {
	v.log.Warn(name+" counts as not set", "err", err)
}

// wrong warns of a value that is no secret.
func (v variables) wrong(name, want string) {
	v.warn(name, fmt.Errorf("it is %q: want %s", v.value(name), want))
}

// oneOf returns a value in lower case.
func (v variables) oneOf(name string, allowed ...string) (string, bool) {
	value := strings.ToLower(v.value(name))
	if value == "" {
		return "", false
	}
	if !slices.Contains(allowed, value) {
		v.wrong(name, "one of "+strings.Join(allowed, ", "))
		return "", false
	}
	return value, true
}

func (v variables) milliseconds(name string) (time.Duration, bool) {
	value := v.value(name)
	if value == "" {
		return 0, false
	}
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		v.wrong(name, "a number of milliseconds, such as 5000")
		return 0, false
	}
	return time.Duration(n) * time.Millisecond, true
}

// maxSize is the largest queue: half a gigabyte of usual spans.
const maxSize = 1 << 20

// size returns a number of spans.
func (v variables) size(name string) (int, bool) {
	value := v.value(name)
	if value == "" {
		return 0, false
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxSize {
		v.wrong(name, fmt.Sprintf("a number from 1 to %d", maxSize))
		return 0, false
	}
	return n, true
}

func (v variables) ratio(name string) (float64, bool) {
	value := v.value(name)
	if value == "" {
		return 0, false
	}
	ratio, err := strconv.ParseFloat(value, 64)
	if err != nil || !(ratio >= 0 && ratio <= 1) { // NaN is neither
		v.wrong(name, "a number from 0 to 1")
		return 0, false
	}
	return ratio, true
}

// pair is an item of a list of headers or attributes.
type pair struct{ name, value string }

// pairs returns the items of a list such as name=value,name=value, in which values are
// percent-encoded. Each has to fit. A warning names a bad item by its number alone: it may hold
// a secret.
func (v variables) pairs(name string, fits func(pair) bool) (all []pair, ok bool) {
	for i, item := range splitList(v.value(name)) {
		key, value, found := strings.Cut(item, "=")
		key, keyErr := url.PathUnescape(strings.TrimSpace(key))
		value, err := url.PathUnescape(strings.TrimSpace(value))
		p := pair{key, value}
		if !found || key == "" || errors.Join(keyErr, err) != nil || !fits(p) {
			v.warn(name, fmt.Errorf("number %d of its items is malformed: want name=value,name=value with %%2C for a comma, and %%25 for a percent sign", i+1))
			return nil, false
		}
		all = append(all, p)
	}
	return all, len(all) > 0
}

// splitList returns the items of a list that are not empty.
func splitList(list string) (items []string) {
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// tls returns how to speak TLS with the collector. If authorities are named, it trusts no others.
func (v variables) tls() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	c.RootCAs = forTraces("CERTIFICATE", nil, v.authorities)
	cert := forTraces("CLIENT_CERTIFICATE", "", v.file)
	key := forTraces("CLIENT_KEY", "", v.file)
	switch {
	case cert == "" && key == "":
		return c
	case cert == "" || key == "":
		v.warn(generalPrefix+"CLIENT_CERTIFICATE", errors.New("want it and "+generalPrefix+"CLIENT_KEY, or neither"))
		return c
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		v.warn(generalPrefix+"CLIENT_CERTIFICATE", err)
		return c
	}
	c.Certificates = []tls.Certificate{pair}
	return c
}

func (v variables) authorities(name string) (*x509.CertPool, bool) {
	file, ok := v.file(name)
	if !ok {
		return nil, false
	}
	pem, err := os.ReadFile(file)
	pool := x509.NewCertPool()
	if err == nil && !pool.AppendCertsFromPEM(pem) {
		err = fmt.Errorf("%s has no certificate in PEM", file)
	}
	if err != nil {
		v.warn(name, err)
		return nil, false
	}
	return pool, true
}

func (v variables) file(name string) (string, bool) { return v.value(name), v.value(name) != "" }
