# Redis or Valkey. Once, in redis-cli: a user with the rights that larder needs, and room that is
# used by what was read last.
#   ACL SETUSER larder on >a-long-password ~larder:* +select +hmget +getrange +exists +pexpire +append +unlink +eval +evalsha +strlen +time +hset +persist +del +scan
#   CONFIG SET maxmemory 20gb
#   CONFIG SET maxmemory-policy allkeys-lru
export LARDER_REMOTE='rediss://larder@redis.example.com:6380/0?ttl=168h'
export LARDER_REDISCLI_AUTH=a-long-password
