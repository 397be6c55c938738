package redis

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseConfig(t *testing.T) {
	usual := func(change func(*Config)) Config {
		c := Config{Addrs: []string{"host:6379"}, Prefix: "larder:", TTL: 7 * 24 * time.Hour, MaxValue: 8 << 20}
		change(&c)
		return c
	}
	for url, want := range map[string]Config{
		"redis://host":                 usual(func(*Config) {}),
		"redis://host:6379/":           usual(func(*Config) {}),
		"rediss://host/3":              usual(func(c *Config) { c.TLS, c.Database = true, 3 }),
		"redis://:p%40ss@host":         usual(func(c *Config) { c.Password = "p@ss" }),
		"redis://larder:pass@host:1":   usual(func(c *Config) { c.Username, c.Password, c.Addrs = "larder", "pass", []string{"host:1"} }),
		"redis://[::1]":                usual(func(c *Config) { c.Addrs = []string{"[::1]:6379"} }),
		"redis://host?ttl=90h":         usual(func(c *Config) { c.TTL = 90 * time.Hour }),
		"redis://host?ttl=0":           usual(func(c *Config) { c.TTL = 0 }),
		"redis://host?max_value=9MiB":  usual(func(c *Config) { c.MaxValue = 9 << 20 }),
		"redis://host?prefix=ci/go*:":  usual(func(c *Config) { c.Prefix = "ci/go*:" }),
		"redis://host?cluster=true":    usual(func(c *Config) { c.Cluster = true }),
		"redis://host?master_name=one": usual(func(c *Config) { c.Master, c.Addrs = "one", []string{"host:26379"} }),
		"redis://a:1?cluster=true&addr=b,[::1]:3": usual(func(c *Config) {
			c.Cluster, c.Addrs = true, []string{"a:1", "b:6379", "[::1]:3"}
		}),
	} {
		if got, err := ParseConfig(url); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", url, got, err, want)
		}
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for url, reason := range map[string]string{
		"redis://":                                  "the host is missing",
		"redis:host":                                "two slashes",
		"redis://user:hunter2@":                     "the host is missing",
		"redis://host/name":                         "number of a database",
		"redis://host/-1":                           "number of a database",
		"redis://host/1/2":                          "number of a database",
		"redis://host/3?cluster=true":               "database 0 alone",
		"redis://host?ttl=23h":                      "at least a day",
		"redis://host?ttl=week":                     "at least a day",
		"redis://host?ttl=-5h":                      "at least a day",
		"redis://:6379":                             "the host is missing",
		"redis://user:12/hunter2@host":              "malformed URL",
		"redis://user:12/../hunter2@host":           "malformed URL",
		"redis://user:12?hunter2@host=1":            "malformed URL",
		"redis://user:12#hunter2@host":              "malformed URL",
		"redis://host?max_value=1KiB":               "from 1MiB to 512MiB",
		"redis://host?max_value=1GiB":               "from 1MiB to 512MiB",
		"redis://host?prefix={x}":                   "must not have {",
		"redis://host?cluster=yes":                  "true or false",
		"redis://host?cluster=true&master_name=one": "exclude each other",
		"redis://host?addr=other":                   "set cluster=true or master_name",
		"redis://host?cluster=true&addr=,":          "list of host:port",
		"redis://host?cluster=true&addr=a/b":        "list of host:port",
		"redis://host?cluster=true&addr=u:p%40b":    "list of host:port",
		"redis://host?password=hunter2":             `unknown parameter "password"`,
		"redis://host#hunter2":                      "fragment",
		"redis://user:hunter2@host:port":            "malformed URL",
	} {
		if _, err := ParseConfig(url); err == nil || !strings.Contains(err.Error(), reason) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", url, err, reason)
		}
	}
}
