# Cloudflare R2: nothing to pay for what is read. Once: a bucket, and an API token with "Object Read &
# Write" on it, whose key and secret are shown when it is made. The host is the account's.
export LARDER_REMOTE='s3://my-bucket/larder?endpoint=https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com&region=auto'
export LARDER_AWS_ACCESS_KEY_ID=023e105f4ecef8ad9ca31a8372d0c353
export LARDER_AWS_SECRET_ACCESS_KEY=5ac2d1d9b1e1cbc2d9a8f4d50d4d5b7d
