package grpc

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/larderbuild/larder/protobuf"
)

// Code is a status code of gRPC.
type Code uint32

// The codes, with gRPC's numbers.
const (
	OK Code = iota
	Canceled
	Unknown
	InvalidArgument
	DeadlineExceeded
	NotFound
	AlreadyExists
	PermissionDenied
	ResourceExhausted
	FailedPrecondition
	Aborted
	OutOfRange
	Unimplemented
	Internal
	Unavailable
	DataLoss
	Unauthenticated
)

var codeNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
	"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// String returns the name that gRPC's documentation uses.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return "code " + strconv.FormatUint(uint64(c), 10)
}

// Status is how a call has failed.
type Status struct {
	Code    Code
	Message string

	// RetryDelay is how long the server asks to wait before another attempt. 0: it does not say.
	RetryDelay time.Duration
}

// Errorf returns a Status as an error.
func Errorf(code Code, format string, args ...any) error {
	return &Status{Code: code, Message: fmt.Sprintf(format, args...)}
}

func (s *Status) Error() string {
	if s.Message == "" {
		return s.Code.String()
	}
	return s.Code.String() + ": " + s.Message
}

// Marshal returns s as a google.rpc.Status.
func (s *Status) Marshal() []byte {
	b := protobuf.AppendInt(nil, 1, int64(s.Code))
	b = protobuf.AppendString(b, 2, strings.ToValidUTF8(s.Message, "\uFFFD"))
	if s.RetryDelay > 0 {
		b = protobuf.AppendMessage(b, 3, detail{retryInfo, s.RetryDelay})
	}
	return b
}

// Unmarshal sets s to what a google.rpc.Status says.
func (s *Status) Unmarshal(data []byte) error {
	*s = Status{}
	return protobuf.Fields(data, func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			s.Code = Code(f.Int())
		case 2:
			s.Message = f.String()
		case 3:
			var d detail
			if err := d.Unmarshal(f.Bytes()); err != nil {
				return err
			}
			s.RetryDelay = max(s.RetryDelay, d.delay)
		}
		return nil
	})
}

// Err returns s as an error, and nil if s is OK.
func (s *Status) Err() error {
	if s.Code == OK {
		return nil
	}
	return s
}

// detail is the one kind of detail that is read: a google.protobuf.Any with a
// google.rpc.RetryInfo.
type detail struct {
	kind  string
	delay time.Duration
}

const retryInfo = "type.googleapis.com/google.rpc.RetryInfo"

func (d detail) Marshal() []byte {
	delay := protobuf.AppendInt(nil, 1, int64(d.delay/time.Second))
	delay = protobuf.AppendInt(delay, 2, int64(d.delay%time.Second))
	return protobuf.AppendBytes(protobuf.AppendString(nil, 1, d.kind), 2, protobuf.AppendBytes(nil, 1, delay))
}

func (d *detail) Unmarshal(data []byte) error {
	var value []byte
	err := protobuf.Fields(data, func(f protobuf.Field) error {
		switch f.Number {
		case 1:
			d.kind = f.String()
		case 2:
			value = f.Bytes()
		}
		return nil
	})
	if err != nil || !strings.HasSuffix(d.kind, "/google.rpc.RetryInfo") {
		return err
	}
	_ = protobuf.Fields(value, func(f protobuf.Field) error { // what is malformed in there says nothing
		if f.Number != 1 {
			return nil
		}
		var seconds, rest time.Duration
		err := protobuf.Fields(f.Bytes(), func(f protobuf.Field) error { // a google.protobuf.Duration
			switch f.Number {
			case 1:
				seconds = time.Duration(min(max(f.Int(), 0), maxDelay)) * time.Second
			case 2:
				rest = time.Duration(min(max(f.Int(), 0), int64(time.Second)))
			}
			return nil
		})
		d.delay = seconds + rest
		return err
	})
	return nil
}

// maxDelay is the longest RetryDelay that is believed, in seconds.
const maxDelay = 1 << 16

const (
	statusHeader  = "Grpc-Status"
	messageHeader = "Grpc-Message"
	detailsHeader = "Grpc-Status-Details-Bin"
)

// statusOf returns how a call has ended, as the trailers of its answer say: nil, or a *Status.
func statusOf(h http.Header) error {
	code, err := strconv.ParseUint(h.Get(statusHeader), 10, 32)
	if err != nil {
		return Errorf(Unknown, "the answer breaks off, or has no %s", strings.ToLower(statusHeader))
	}
	s := &Status{Code: Code(code)}
	if raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(h.Get(detailsHeader), "=")); err == nil && len(raw) > 0 {
		var full Status
		if full.Unmarshal(raw) == nil {
			s.RetryDelay = full.RetryDelay
		}
	}
	s.Message = unescape(h.Get(messageHeader))
	return s.Err()
}

// write sets the fields that say how a call has ended. Their names begin with prefix, which is
// http.TrailerPrefix if h was sent already.
func (s *Status) write(h http.Header, prefix string) {
	h.Set(prefix+statusHeader, strconv.FormatUint(uint64(s.Code), 10))
	if s.Message != "" {
		h.Set(prefix+messageHeader, escape(s.Message))
	}
	if s.RetryDelay > 0 {
		h.Set(prefix+detailsHeader, base64.RawStdEncoding.EncodeToString(s.Marshal()))
	}
}

// escape returns text as it stands in a header: all but printable ASCII as %XX.
func escape(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// unescape returns what escape was given. It keeps what is malformed.
func unescape(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			if c, err := strconv.ParseUint(text[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}

// codeOf returns the code that an HTTP status stands for in place of an answer of gRPC.
func codeOf(status int) Code {
	switch status {
	case http.StatusBadRequest:
		return Internal
	case http.StatusUnauthorized:
		return Unauthenticated
	case http.StatusForbidden:
		return PermissionDenied
	case http.StatusNotFound:
		return Unimplemented
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return Unavailable
	}
	return Unknown
}
