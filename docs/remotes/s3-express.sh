# Amazon S3 Express One Zone: a few milliseconds a request, in one availability zone. Once: a
# directory bucket in the zone of the machines that build,
#   aws s3api create-bucket --region eu-west-1 --bucket my-bucket--euw1-az1--x-s3 --create-bucket-configuration \
#     'Location={Type=AvailabilityZone,Name=euw1-az1},Bucket={DataRedundancy=SingleAvailabilityZone,Type=Directory}'
# and a role that may s3express:CreateSession on it.
export LARDER_REMOTE='s3://my-bucket--euw1-az1--x-s3/larder?region=eu-west-1'
