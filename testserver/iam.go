package testserver

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// IAMServer is an S3 server together with an IAM server, which tells it the rights of
// users.
type IAMServer struct {
	S3Server
	api string // http://host:port of the IAM server
}

// S3WithIAM starts an S3 server that has users besides its root user.
func S3WithIAM(t testing.TB) IAMServer {
	t.Helper()
	// The servers use a socket, whose path must be shorter than about 100 bytes.
	dir, err := os.MkdirTemp("", "iam")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket, users := filepath.Join(dir, "socket"), filepath.Join(dir, "users")
	if err := os.Mkdir(users, 0o700); err != nil {
		t.Fatal(err)
	}
	api := start(t, binary(t, versitygw), func(port int) []string {
		return append(rootFlags(port), "iam", "--dir", users, "--private-ports", socket)
	})
	return IAMServer{startS3(t, "--iam-standalone-endpoint", socket), "http://" + api}
}

// User creates a user with the given policy, which is a JSON document as AWS defines it
// for users and roles. It returns the variables that have the user's credentials.
func (s IAMServer) User(t testing.TB, name, policy string) []string {
	t.Helper()
	var made struct {
		Key struct{ AccessKeyId, SecretAccessKey string } `xml:"CreateAccessKeyResult>AccessKey"`
	}
	s.call(t, url.Values{"Action": {"CreateUser"}, "UserName": {name}}, nil)
	s.call(t, url.Values{"Action": {"CreateAccessKey"}, "UserName": {name}}, &made)
	s.call(t, url.Values{
		"Action": {"PutUserPolicy"}, "UserName": {name},
		"PolicyName": {"policy"}, "PolicyDocument": {policy},
	}, nil)
	return []string{"AWS_ACCESS_KEY_ID=" + made.Key.AccessKeyId, "AWS_SECRET_ACCESS_KEY=" + made.Key.SecretAccessKey}
}

// call sends the IAM server a request with params as its root user. It decodes the answer
// into out, unless out is nil.
func (s IAMServer) call(t testing.TB, params url.Values, out any) {
	t.Helper()
	params.Set("Version", "2010-05-08")
	body := []byte(params.Encode())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.api+"/", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sum := sha256.Sum256(body)
	root := aws.Credentials{AccessKeyID: s.AccessKey, SecretAccessKey: s.SecretKey}
	if err := v4.NewSigner().SignHTTP(t.Context(), root, req, hex.EncodeToString(sum[:]), "iam", s.Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && out != nil {
		err = xml.Unmarshal(answer, out)
	}
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s, %v\n%s", params.Get("Action"), params.Get("UserName"), res.Status, err, answer)
	}
}
