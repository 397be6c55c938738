# An image that has larder and nothing else. Other images take the program out of it:
#
#	COPY --from=ghcr.io/larderbuild/larder:1.2.3 /larder /usr/local/bin/larder

FROM --platform=$BUILDPLATFORM golang:1.26.8-alpine AS build
ARG TARGETOS TARGETARCH VERSION REVISION
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -tags=urfave_cli_no_template -o /larder \
    -ldflags="-s -w -X github.com/larderbuild/larder/cli.releaseVersion=$VERSION -X github.com/larderbuild/larder/cli.releaseRevision=$REVISION" .

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /larder /larder
COPY LICENSE /
ENTRYPOINT ["/larder"]
