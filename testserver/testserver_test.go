package testserver_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/larderbuild/larder/testserver"
)

func TestS3Answers(t *testing.T) {
	s := testserver.S3(t)
	s.Bucket(t, "bucket")
	if got := status(t, s.Endpoint+"/bucket"); got != http.StatusForbidden {
		t.Errorf("a request without a signature got %d, want 403", got)
	}
}

func TestGCSAnswersThroughAProxy(t *testing.T) {
	s := testserver.GCS(t)
	link := testserver.Proxy(t, s.Endpoint)
	s.Endpoint = link.Endpoint
	s.Bucket(t, "bucket")
	if got := status(t, s.Endpoint+"/storage/v1/b/bucket"); got != http.StatusOK {
		t.Errorf("bucket: %d, want 200", got)
	}
	if got := status(t, s.Endpoint+"/storage/v1/b/other"); got != http.StatusNotFound {
		t.Errorf("other bucket: %d, want 404", got)
	}
}

func TestAzureAnswersThroughAProxy(t *testing.T) {
	s := testserver.Azure(t)
	link := testserver.Proxy(t, s.Endpoint)
	s.Endpoint = link.Endpoint
	s.Container(t, "container")
	if got := status(t, s.Service()+"/container/blob"); got != http.StatusForbidden {
		t.Errorf("a request without a signature got %d, want 403", got)
	}
}

func TestLinkFaults(t *testing.T) {
	s := testserver.GCS(t)
	s.Bucket(t, "bucket")
	link := testserver.Proxy(t, s.Endpoint)
	client := http.Client{
		Timeout:   500 * time.Millisecond,
		Transport: &http.Transport{DisableKeepAlives: true},
	}
	get := func() error {
		res, err := client.Get(link.Endpoint + "/storage/v1/b/bucket")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		_, err = io.Copy(io.Discard, res.Body)
		return err
	}
	timeout := func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }
	other := func(err error) bool { return err != nil && !timeout(err) }
	for _, test := range []struct {
		name  string
		fault func()
		want  func(error) bool
	}{
		{"hang", link.Hang, timeout},
		{"latency", func() { link.Latency(time.Minute) }, timeout},
		{"reset", link.Reset, other},
		{"cut", func() { link.Cut(10) }, other},
		{"down", link.Down, other},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.fault()
			if err := get(); !test.want(err) {
				t.Errorf("got %v", err)
			}
			link.Heal()
			if err := get(); err != nil {
				t.Errorf("after healing: %v", err)
			}
		})
	}
}

func status(t *testing.T, url string) int {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}
