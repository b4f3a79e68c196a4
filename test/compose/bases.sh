#!/bin/sh
# Makes images under the names that docker-compose.yml asks for, out of Debian's packages, where no registry of images can be reached. They are stand-ins: the
# programs are the same, the published images are not. As root, with a running engine; a minute and a half, and nothing when they are there.
set -eu
cd "$(dirname "$0")"
there() { docker image inspect "$1" >/dev/null 2>&1; }
build() { there "$1" || docker build --quiet --tag "$1" --file - "${2:-.}" >/dev/null; }

command -v mmdebstrap >/dev/null || { apt-get update && apt-get install -y --no-install-recommends mmdebstrap; }

# What signs the certificates of this machine's network is taken along: builds inside fetch packages.
there debian:trixie-slim || TMPDIR=/dev/shm mmdebstrap --quiet --variant=minbase --dpkgopt=force-unsafe-io --include=ca-certificates \
  --customize-hook='upload /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt' trixie - |
  docker import --change 'CMD ["bash"]' - debian:trixie-slim >/dev/null

node=$(mktemp -d)
trap 'rm -rf "$node"' EXIT
cp ../../node_modules/node-linux-*/bin/node "$node/node"
cp -r "$(dirname "$(realpath "${npm_execpath:-$(command -v npm)}")")/.." "$node/npm"
build node:24-trixie-slim "$node" <<'DOCKERFILE'
FROM debian:trixie-slim
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx \
  && useradd --uid 1000 --create-home node
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
CMD ["node"]
DOCKERFILE

build nats:2.10-alpine <<'DOCKERFILE'
FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends nats-server wget && rm -rf /var/lib/apt/lists/*
ENTRYPOINT ["/usr/sbin/nats-server"]
DOCKERFILE

build caddy:2.8 <<'DOCKERFILE'
FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends caddy && rm -rf /var/lib/apt/lists/*
ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
DOCKERFILE

build prom/prometheus:v3.5.0 <<'DOCKERFILE'
FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends prometheus wget && rm -rf /var/lib/apt/lists/* \
  && mkdir /prometheus && chown nobody /prometheus
USER nobody
WORKDIR /prometheus
ENTRYPOINT ["/usr/bin/prometheus"]
DOCKERFILE

# Its entrypoint does what that of the published image does with the variables that are used here.
build postgres:17-trixie <<'DOCKERFILE'
FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends postgresql-common \
  && sed -i 's/#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf \
  && apt-get install -y --no-install-recommends postgresql-17 util-linux && rm -rf /var/lib/apt/lists/* \
  && mkdir -p /var/lib/postgresql/data && chown postgres: /var/lib/postgresql/data
ENV PATH=$PATH:/usr/lib/postgresql/17/bin PGDATA=/var/lib/postgresql/data
COPY <<'ENTRYPOINT' /entrypoint.sh
#!/bin/bash
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  install -m 600 -o postgres "$POSTGRES_PASSWORD_FILE" /tmp/password
  chown postgres: "$PGDATA"
  chmod 700 "$PGDATA"
  setpriv --reuid=postgres --regid=postgres --init-groups initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --encoding=UTF8 --locale=C.UTF-8 --auth=scram-sha-256 --auth-local=trust
  rm /tmp/password
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  echo "create database \"$POSTGRES_DB\"" | setpriv --reuid=postgres --regid=postgres --init-groups postgres --single -D "$PGDATA" postgres >/dev/null
fi
exec setpriv --reuid=postgres --regid=postgres --init-groups postgres -c listen_addresses='*'
ENTRYPOINT
RUN chmod +x /entrypoint.sh && mkdir -p /var/run/postgresql && chown postgres: /var/run/postgresql
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
ENTRYPOINT ["/entrypoint.sh"]
DOCKERFILE
