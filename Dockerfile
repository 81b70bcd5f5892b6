# Two stages: what builds keyturn is not in what runs it.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY bot bot
COPY cmd/keyturn cmd/keyturn
COPY mgmt mgmt
# The binary is static: SQLite is the pure-Go one, so no C library is needed.
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /keyturn ./cmd/keyturn && mkdir /data

# No shell and no package manager; the certificates and the user nonroot (65532) are there.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /keyturn /keyturn
COPY --from=build --chown=65532:65532 /data /data
ENV KEYTURN_DATABASE_URL=/data/keyturn.db
VOLUME /data
USER 65532:65532
ENTRYPOINT ["/keyturn"]
