package cli

import (
	"testing"
)

func TestWrites(t *testing.T) {
	t.Parallel()
	_, private, public := newKey(t)
	for _, test := range []struct {
		name  string
		given givenSettings
		want  bool
	}{
		{"nobody is distrusted", givenSettings{}, true},
		{"read-only", givenSettings{plainSettings: plainSettings{readOnly: true}}, false},
		{"who signs", givenSettings{signKey: private}, true},
		{"who signs, and trusts", givenSettings{signKey: private, trust: public}, true},
		{"who signs, read-only", givenSettings{plainSettings: plainSettings{readOnly: true}, signKey: private}, false},
		{"who trusts, and can't sign", givenSettings{trust: public}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := test.given.resolve(surroundings{})
			if err != nil || s.writes() != test.want {
				t.Errorf("writes %v, %v, want %v", s.writes(), err, test.want)
			}
		})
	}
}

// TestObjects: where requests are scarce, larder writes no entry objects, and who wants them
// is told so.
func TestObjects(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ remote, given, want string }{
		{"", "", objectsAll},
		{"s3://bucket", "", objectsAll},
		{"s3://bucket", objectsNone, objectsNone},
		{"gha://", "", objectsNone},
		{"gha://", objectsNone, objectsNone},
	} {
		given := givenSettings{plainSettings: plainSettings{objects: test.given}, remote: test.remote}
		if s, err := given.resolve(surroundings{}); err != nil || s.objects != test.want {
			t.Errorf("%+v: %q, %v", test, s.objects, err)
		}
	}
	given := givenSettings{plainSettings: plainSettings{objects: objectsAll}, remote: "gha://"}
	s, err := given.resolve(surroundings{})
	const want = `LARDER_OBJECTS (or --objects) is "all": want none for gha://, which takes few requests`
	if err == nil || err.Error() != want || s.target.Remote != "" {
		t.Errorf("%v, want %s; remote %q", err, want, s.target.Remote)
	}
}
