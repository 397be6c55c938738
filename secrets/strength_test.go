package secrets

import "testing"

// TestOrdinary checks which values of a variable with a secret's name are searched for.
func TestOrdinary(t *testing.T) {
	names := []string{"Example.com/Shop", "feature-17", "x"}
	for value, secret := range map[string]bool{
		"postgres": false, "password": false, "Password": false, "integration": false,
		"linux-amd64": false, "unit-tests": false, "test_database": false,
		"example.com/shop": false, "feature-17": false, "example.com/shop:test": false,
		"aaaaaaaaaaaa": false, "----------": false,
		"staging-database-password":    true, // three words
		"correct horse battery staple": true, "Tr0ub4dor&3": true, "filter_test.go": true,
		"xxxxkqjzvwpd": true, fake(letters, 8): true, fake(word, 3000): true,
	} {
		f := New([]string{"A_KEY=" + value}, names...)
		if got := len(f.values) > 0; got != secret {
			t.Errorf("%.40q counts as a secret: %t, want %t", value, got, secret)
		}
	}
}

func BenchmarkOrdinary(b *testing.B) {
	for b.Loop() {
		bits("integration-staging-deployment", 5, nil)
	}
}
