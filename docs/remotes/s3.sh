# Amazon S3. Once: a bucket, and a role or a user that may
#   s3:ListBucket                on arn:aws:s3:::my-bucket
#   s3:GetObject, s3:PutObject   on arn:aws:s3:::my-bucket/larder/*
# and s3:DeleteObject for whoever runs larder gc. Builds that only read need no s3:PutObject.
export LARDER_REMOTE='s3://my-bucket/larder?region=eu-west-1'

# On machines of AWS, with a profile, or with OIDC on GitHub Actions, nothing else. Otherwise keys,
# which only larder sees and no test of yours:
export LARDER_AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE
export LARDER_AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
