package pack

import (
	"strings"
	"testing"
)

func TestHead(t *testing.T) {
	for name, test := range map[string]struct{ body, head string }{
		"an archive":            {archiveHead + "rest\nof\nit", archiveHead},
		"an archive's head":     {archiveHead, archiveHead},
		"nothing":               {"", ""},
		"another archive":       {strings.Replace(archiveHead, "__.PKGDEF", "_buildid.o", 1), ""},
		"no object":             {strings.Replace(archiveHead, "go object", "go  object", 1), ""},
		"no build ID":           {strings.Replace(archiveHead, "build id", "built id", 1), ""},
		"a build ID half":       {strings.TrimSuffix(archiveHead, "\"\n") + "\n", ""},
		"a build ID, then more": {strings.Replace(archiveHead, "\"\n", "\" 7\n", 1), ""},
		"cut":                   {strings.TrimSuffix(archiveHead, "\n"), ""},
		"long":                  {strings.Replace(archiveHead, "X:", "X:"+strings.Repeat("x", MaxHead), 1), ""},
		"a Mach-O, say":         {"\xcf\xfa\xed\xfe" + archiveHead, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Head([]byte(test.body)); string(got) != test.head {
				t.Errorf("head %q, want %q", got, test.head)
			}
		})
	}
	longest := []byte(strings.Replace(archiveHead, "X:", "X:"+strings.Repeat("x", MaxHead-len(archiveHead)), 1))
	if got := Head(append(longest, "more"...)); len(got) != MaxHead {
		t.Errorf("the longest head has %d bytes, want %d", len(got), MaxHead)
	}
}
