package redis

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	goredis "github.com/redis/go-redis/v9"

	"github.com/larderbuild/larder/backend"
)

// Config is what a Redis URL says.
type Config struct {
	Addrs    []string // host:port of the server, or of some nodes of a cluster, or of sentinels
	TLS      bool
	Username string
	Password string
	Database int
	Cluster  bool
	Master   string        // name that sentinels know the server by; empty: Addrs are no sentinels
	Prefix   string        // of the names of all keys in Redis
	TTL      time.Duration // for how long an object stays that nobody uses; 0: for good
	MaxValue int64         // the largest value in Redis, in bytes
}

const (
	defaultPort   = "6379"
	sentinelPort  = "26379"
	defaultPrefix = "larder:"
	defaultTTL    = 7 * 24 * time.Hour
	minTTL        = 24 * time.Hour

	// Redis allows values of up to 512 MiB, but works for long on one of that size.
	defaultMaxValue          = 8 << 20
	minMaxValue, maxMaxValue = 1 << 20, 512 << 20
)

// ParseConfig reads redis://user:password@host:port/database?name=value&…, or rediss://… for
// TLS. The parameters are:
//
//	addr=host:port,…   further nodes of a cluster, or sentinels
//	cluster=true       the server is a cluster
//	master_name=name   the hosts are sentinels, which say where the server of this name is
//	prefix=larder:     of the names of all keys
//	ttl=168h           for how long an object stays that nobody uses; 0: for good
//	max_value=8MiB     larger objects lie in several values
//
// Its errors repeat no secret.
func ParseConfig(rawURL string) (Config, error) {
	u, query, err := backend.ParseURLWithUser(rawURL, "addr", "cluster", "master_name", "prefix", "ttl", "max_value")
	if err != nil {
		return Config{}, err
	}
	c := Config{
		TLS:      u.Scheme == "rediss",
		Username: u.User.Username(),
		Master:   query.Get("master_name"),
		Prefix:   cmp.Or(query.Get("prefix"), defaultPrefix),
		TTL:      defaultTTL,
		MaxValue: defaultMaxValue,
	}
	c.Password, _ = u.User.Password()
	if err := backend.ParseBool(&c.Cluster, query, "cluster"); err != nil {
		return Config{}, err
	}
	if c.Cluster && c.Master != "" {
		return Config{}, errors.New("parameters cluster and master_name exclude each other: sentinels watch no cluster")
	}
	if err := c.parseHosts(u.Host, query.Get("addr")); err != nil {
		return Config{}, err
	}
	if err := c.parseDatabase(u.Path); err != nil {
		return Config{}, err
	}
	if strings.ContainsAny(c.Prefix, "{}") {
		return Config{}, errors.New("parameter prefix must not have { or }, which say where a cluster keeps a key")
	}
	return c, c.parseLimits(query)
}

// parseHosts sets the addresses: that of the URL, and those of a list.
func (c *Config) parseHosts(host, more string) error {
	if host == "" || strings.HasPrefix(host, ":") {
		return errors.New("the host is missing: write redis://host or redis://host:port")
	}
	port := defaultPort
	if c.Master != "" {
		port = sentinelPort
	}
	hosts := []string{host}
	if more != "" {
		if !c.Cluster && c.Master == "" {
			return errors.New("parameter addr is for a cluster, or for sentinels: set cluster=true or master_name too")
		}
		hosts = append(hosts, strings.Split(more, ",")...)
	}
	for _, host := range hosts {
		u, err := url.Parse("redis://" + host)
		if err != nil || u.Hostname() == "" || u.Host != host {
			return errors.New("parameter addr must be a list of host:port, with commas between them")
		}
		c.Addrs = append(c.Addrs, net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port)))
	}
	return nil
}

// parseDatabase sets the number of the database, which is the path of the URL.
func (c *Config) parseDatabase(path string) error {
	number := strings.Trim(path, "/")
	if number == "" {
		return nil
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return fmt.Errorf("path %q must be the number of a database, such as /0: a prefix goes into the parameter prefix", path)
	}
	if c.Cluster && n != 0 {
		return fmt.Errorf("a cluster has database 0 alone, not %d", n)
	}
	c.Database = int(n)
	return nil
}

// parseLimits sets what the parameters ttl and max_value say.
func (c *Config) parseLimits(query url.Values) error {
	if value := query.Get("ttl"); value != "" {
		ttl, err := time.ParseDuration(value)
		if err != nil || ttl != 0 && ttl < minTTL {
			return errors.New("parameter ttl must be a duration of at least a day, such as 168h, or 0 for no end")
		}
		c.TTL = ttl
	}
	if value := query.Get("max_value"); value != "" {
		size, err := humanize.ParseBytes(value)
		if err != nil || size < minMaxValue || size > maxMaxValue {
			return errors.New("parameter max_value must be a size from 1MiB to 512MiB")
		}
		c.MaxValue = int64(size)
	}
	return nil
}

// Traits are those of the store that c names.
func (c Config) Traits() backend.Traits {
	if c.TTL == 0 {
		return backend.Traits{}
	}
	return backend.Traits{UnreadDays: max(1, int(c.TTL/(24*time.Hour)))}
}

// The variables that hold passwords which are not in the URL. redis-cli reads the first one.
const (
	passwordVariable         = "REDISCLI_AUTH"
	sentinelPasswordVariable = "LARDER_REDIS_SENTINEL_PASSWORD"
)

// options returns what the client needs to know.
func (c Config) options() (*goredis.UniversalOptions, error) {
	o := &goredis.UniversalOptions{
		Addrs:      c.Addrs,
		DB:         c.Database,
		Username:   c.Username,
		Password:   cmp.Or(c.Password, os.Getenv(passwordVariable)),
		MasterName: c.Master,

		SentinelPassword: os.Getenv(sentinelPasswordVariable),

		IsClusterMode: c.Cluster,

		// The store is tried again by package backend.
		MaxRetries:       -1,
		DialerRetries:    1,
		ReadTimeout:      requestTime,
		WriteTimeout:     requestTime,
		PoolSize:         calls,
		PipelinePoolSize: -1, // no connections besides those

		// All that it would ask for in a round trip of its own before the first request.
		Protocol:        2,
		DisableIdentity: true,
	}
	var secure *tls.Config
	if c.TLS {
		var err error
		if secure, err = backend.TLSConfig(); err != nil {
			return nil, err
		}
	}
	o.Dialer = dialer(secure)
	return o, nil
}
