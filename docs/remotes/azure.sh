# Azure Blob Storage. Once: a storage account and a container. Without a key, an identity with the
# role Storage Blob Data Contributor on it (… Reader for builds that only read):
#   az storage container create --account-name myaccount --name my-container --auth-mode login
export LARDER_REMOTE='azblob://myaccount/my-container/larder'

# With a managed identity, a workload identity or az login, nothing else. Otherwise a key or a SAS
# token (LARDER_AZURE_STORAGE_SAS_TOKEN):
export LARDER_AZURE_STORAGE_KEY=bm90IGEga2V5LCBidXQgYXMgbG9uZyBhcyBvbmUsIGluIGJhc2U2NC4uLi4uLi4uLi4uLi4uLi4uLi4uLg==
