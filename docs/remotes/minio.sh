# MinIO, and other servers that speak S3: Ceph, Garage, SeaweedFS, versitygw. Once, with its client:
#   mc alias set office https://minio.example.com:9000 admin password
#   mc mb office/my-bucket
#   mc admin user add office larder a-long-password
#   mc admin policy attach office readwrite --user larder
export LARDER_REMOTE='s3://my-bucket/larder?endpoint=https://minio.example.com:9000&region=us-east-1&path_style=true'
export LARDER_AWS_ACCESS_KEY_ID=larder
export LARDER_AWS_SECRET_ACCESS_KEY=a-long-password
