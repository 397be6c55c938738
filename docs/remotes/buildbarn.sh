# Buildbarn: bb-storage, or the frontend of a cluster, with its gRPC port. Its configuration says
# which instance names may be written, in the authorizers of putAuthorizer of contentAddressableStorage
# and actionCache; completenessChecking in front of the action cache has larder see what was evicted
# as missing at once. The path of the URL is the instance name.
export LARDER_REMOTE=grpcs://buildbarn.example.com/larder

# Where the frontend knows clients by their certificates:
export LARDER_TLS_CERT=/etc/larder/client.pem
export LARDER_TLS_KEY=/etc/larder/client.key
