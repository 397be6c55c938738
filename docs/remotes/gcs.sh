# Google Cloud Storage. Once: a bucket, and a service account with the role
# roles/storage.objectUser on it (roles/storage.objectViewer for builds that only read).
#   gcloud storage buckets create gs://my-bucket --location=europe-west1 --uniform-bucket-level-access
#   gcloud storage buckets add-iam-policy-binding gs://my-bucket \
#     --member=serviceAccount:larder@my-project.iam.gserviceaccount.com --role=roles/storage.objectUser
export LARDER_REMOTE='gs://my-bucket/larder'

# On machines of Google's, or after gcloud auth application-default login, nothing else. Otherwise
# the file of a key or of a workload identity:
export LARDER_GOOGLE_APPLICATION_CREDENTIALS=/etc/larder/google.json
