# larder serve, on one machine that the others reach:
#   larder serve --listen :8080 --access rules.json
# ../serve.md has the rules.
export LARDER_REMOTE=http://cache.example.com:8080
export LARDER_TOKEN=a-token-of-the-rules
