package testserver

import (
	"io"
	"net/http"
	"path"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
)

// sign returns a signed URL at host for reading a blob, or for writing it.
func (s *ActionsServer) sign(host, blob string, writes bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	permissions := sas.BlobPermissions{Read: !writes, Create: writes, Write: writes}
	bucket := path.Base(s.bucket.URL())
	key, err := container.NewSharedKeyCredential(s.blobs.Account, s.blobs.Key)
	if err != nil {
		panic(err) // the key of all Azurites
	}
	signed, err := sas.BlobSignatureValues{
		Version:       "2021-12-02",
		Protocol:      sas.ProtocolHTTPSandHTTP,
		ExpiryTime:    time.Now().UTC().Add(s.rules.Lifetime),
		Permissions:   permissions.String(),
		ContainerName: bucket,
		BlobName:      blob,
	}.SignWithSharedKey(key)
	if err != nil {
		panic(err)
	}
	s.signed[signed.Signature()] = true
	return "http://" + host + "/" + s.blobs.Account + "/" + bucket + "/" + blob + "?" + signed.Encode()
}

// serveBlob passes a request for a blob on to Azurite, unless the test has let its URL
// expire.
func (s *ActionsServer) serveBlob(w http.ResponseWriter, r *http.Request) {
	s.seen(r)
	s.removeBlobs(r.Context())
	s.mu.Lock()
	good := s.signed[r.URL.Query().Get("sig")]
	s.mu.Unlock()
	if good {
		s.front.ServeHTTP(w, r)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("X-Ms-Error-Code", "AuthenticationFailed")
	w.WriteHeader(http.StatusForbidden)
	_, _ = io.WriteString(w, `<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.</Message></Error>`)
}
