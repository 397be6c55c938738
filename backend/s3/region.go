package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// regionHeader is the header in which Amazon says where a bucket is.
const regionHeader = "X-Amz-Bucket-Region"

// regionAnswers moves what the body of an answer says about the bucket's region to the
// header, because the SDK keeps of the body only a code and a message.
type regionAnswers struct{ next http.RoundTripper }

func (r regionAnswers) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := r.next.RoundTrip(req)
	if err != nil || res.Header.Get(regionHeader) != "" ||
		res.StatusCode != http.StatusMovedPermanently && res.StatusCode != http.StatusBadRequest {
		return res, err
	}
	body, err := io.ReadAll(res.Body) // has a limit, as all errors have
	res.Body.Close()
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	if found := regexp.MustCompile(`<Region>([a-z0-9-]+)</Region>`).FindSubmatch(body); found != nil {
		res.Header.Set(regionHeader, string(found[1]))
	}
	return res, nil
}

// explainRegion puts the remedy before err, if err is the answer that the bucket is in
// another region.
func explainRegion(err error) error {
	var answer *awshttp.ResponseError
	var api smithy.APIError
	if !errors.As(err, &answer) || !errors.As(err, &api) {
		return err
	}
	switch api.ErrorCode() {
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
	default:
		if answer.HTTPStatusCode() != http.StatusMovedPermanently {
			return err
		}
	}
	region := answer.Response.Header.Get(regionHeader)
	if region == "" {
		found := regexp.MustCompile(`expecting '([a-z0-9-]+)'`).FindStringSubmatch(api.ErrorMessage())
		if found == nil {
			return err
		}
		region = found[1]
	}
	return fmt.Errorf("it is in region %s: write region=%[1]s into the URL: %w", region, err)
}
